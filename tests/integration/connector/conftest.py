"""What tests of the connector share: a short home directory, enrolled at a scripted relay."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from connector_agent import config as settings
from connector_agent import identity
from tests.integration.connector.scripted_daemon import REPOSITORY


@pytest.fixture
def root() -> Iterator[Path]:
    """A directory whose path leaves room for a Unix socket's."""
    with TemporaryDirectory(prefix="rw-") as directory:
        yield Path(directory)


@pytest.fixture
def home(root: Path) -> settings.Home:
    """A connector's home with a key, sharing one repository of the daemon in `root/d`."""
    made = settings.Home(root=root / "c")
    made.prepare()
    identity.identity_ensure(made)
    share = settings.Share(repository_id=REPOSITORY)
    settings.config_write(made, settings.Config(daemon=settings.Daemon(home=str(root / "d")), share=(share,)))
    return made
