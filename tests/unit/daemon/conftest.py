"""A record for the tests of the daemon's nouns."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.record import Record


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """An empty record."""
    with closing(Record(tmp_path)) as opened:
        yield opened
