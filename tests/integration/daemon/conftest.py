"""What tests of the daemon's doors share: one real daemon and one real repository a module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.daemon.door import Door, door_open
from tests.integration.daemon.machine import repository_make
from tests.integration.daemon.shell import Operator


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


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator whose daemon is started by the first command that needs one."""
    root = tmp_path_factory.mktemp("operator")
    at_shell = Operator(home=root / "home", repository=repository_make(root / "r"))
    yield at_shell
    at_shell.leave()


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Operator]:
    """An operator on a machine where nothing was ever started."""
    at_shell = Operator(home=tmp_path / "home", repository=repository_make(tmp_path / "r"))
    yield at_shell
    at_shell.leave()
