"""What tests of the daemon's doors share: one real daemon and one real repository a module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.daemon.door import Door, door_open
from tests.integration.daemon.machine import repository_make


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A daemon on its socket and on loopback."""
    with door_open(tmp_path_factory.mktemp("daemon") / "home", "--port", "0") as opened:
        yield opened


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with one commit."""
    return repository_make(tmp_path_factory.mktemp("repository") / "r")


@pytest.fixture(scope="module")
def repository_id(door: Door, repository: Path) -> str:
    """The repository, known to the daemon."""
    return door.repository_add(repository)
