"""A whole Ropeway for the journeys that leave it as it was: started once, for starting takes longer than most of them.

They share its tenant and its machine, and so look only for what they made themselves. The crashes have one of their
own.
"""

from collections.abc import Iterator

import pytest

from tests.journeys.world import World, world_open


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Everything at work."""
    with world_open(tmp_path_factory.mktemp("world")) as opened:
        yield opened
