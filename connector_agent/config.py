"""What the connector is told and what it keeps: its home directory, its settings, its enrollment.

`connector.toml` is the allow-list: only what stands there is exposed, and it is read again when the connector is told
so (SIGHUP). Nothing here talks to anybody. Tests: tests/unit/connector/test_config.py.
"""

import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, ValidationError

from local_daemon.protocol import envelopes, failpoints, ids, wire

RepositoryId = Annotated[str, StringConstraints(pattern=ids.pattern_for(ids.IdPrefix.REPOSITORY))]


class ConfigInvalid(Exception):
    """The connector's settings are not valid; it says which line or key."""


class NotEnrolled(Exception):
    """This connector belongs to nobody yet; run `ropeway-connector enroll` first."""


class Share(wire.WireModel):
    """One repository that the cloud may see."""

    repository_id: RepositoryId
    label: wire.Line | None = None


class Daemon(wire.WireModel):
    """Where the daemon's home directory is; the default is the daemon's own."""

    home: str = Field(default="", max_length=4096)


class Config(wire.WireModel):
    """Everything the operator may choose."""

    daemon: Daemon = Daemon()
    ca_file: str | None = Field(default=None, description="certificates to trust instead of the system's")
    share: tuple[Share, ...] = Field(default=(), max_length=500)

    def shared(self) -> dict[str, str | None]:
        """What is shared: repository id to the label it goes by, if it has one of its own."""
        return {share.repository_id: share.label for share in self.share}


class Enrollment(wire.WireModel):
    """To whom the connector belongs, and where it dials."""

    cloud_url: str = Field(pattern=r"^https?://[^\s/?#]+$", max_length=500)
    connector_id: str = Field(max_length=100)

    @property
    def audience(self) -> str:
        """The name the relay must ask a proof for: what was dialled at enrollment."""
        return urlsplit(self.cloud_url).netloc

    @property
    def websocket_url(self) -> str:
        """Where the link is opened."""
        return self.cloud_url.replace("http", "ws", 1) + "/ws/connectors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where the connector's files lie."""

    root: Path

    @property
    def config(self) -> Path:
        """The operator's settings."""
        return self.root / "connector.toml"

    @property
    def key(self) -> Path:
        """The private key."""
        return self.root / "key"

    @property
    def enrollment(self) -> Path:
        """What enrolling gave."""
        return self.root / "enrollment.json"

    @property
    def status(self) -> Path:
        """What the running connector says of itself."""
        return self.root / "status.json"

    def prepare(self) -> None:
        """Make the directory, private to its owner."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)


def home_find(explicit: str | None = None) -> Home:
    """The home that is meant: the one given, ROPEWAY_CONNECTOR_HOME, or the user's own."""
    given = explicit or os.environ.get("ROPEWAY_CONNECTOR_HOME")
    if given:
        return Home(root=Path(given).expanduser().absolute())
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Home(root=Path(base).expanduser().absolute() / "ropeway-connector")


def daemon_home_find(config: Config) -> Path:
    """The daemon's home directory: as configured, ROPEWAY_HOME, or the daemon's default."""
    given = config.daemon.home or os.environ.get("ROPEWAY_HOME")
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "ropeway"


def config_read(home: Home) -> Config:
    """The settings, or the defaults where there are none. Raises ConfigInvalid."""
    try:
        return Config.model_validate(tomllib.loads(home.config.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Config()
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(f"{home.config.name}: {error}") from error
    except ValidationError as error:
        found = "; ".join(f"{item['field']}: {item['problem']}" for item in envelopes.readable_errors(error))
        raise ConfigInvalid(f"{home.config.name}: {found}") from error


def config_write(home: Home, config: Config) -> None:
    """Replace the settings file, all of it or nothing."""
    lines = [
        "# What ropeway-connector exposes, and where it finds the daemon. Change it with share and unshare, or here."
    ]
    if config.ca_file is not None:
        lines.append(f"ca_file = {json.dumps(config.ca_file)}")
    if config.daemon.home:
        lines += ["", "[daemon]", f"home = {json.dumps(config.daemon.home)}"]
    for share in config.share:
        lines += ["", "[[share]]", f"repository_id = {json.dumps(share.repository_id)}"]
        if share.label is not None:
            lines.append(f"label = {json.dumps(share.label)}")
    private_write(home.config, "\n".join(lines) + "\n")


def enrollment_read(home: Home) -> Enrollment:
    """To whom the connector belongs. Raises NotEnrolled."""
    try:
        return Enrollment.model_validate_json(home.enrollment.read_bytes())
    except FileNotFoundError as error:
        raise NotEnrolled from error
    except ValidationError as error:
        raise ConfigInvalid(f"{home.enrollment.name} is damaged; enroll again") from error


def enrollment_write(home: Home, enrollment: Enrollment) -> None:
    """Keep what enrolling gave. Lost in a crash, it is had again: the same code and key get the same answer."""
    failpoints.failpoint("connector.enrollment_save.before_commit")
    private_write(home.enrollment, enrollment.model_dump_json())
    failpoints.failpoint("connector.enrollment_save.after_commit")


def private_write(path: Path, content: str) -> None:
    """Write a file that its owner alone may read, all of it or nothing, durable on return."""
    fresh = path.with_name(f"{path.name}.new")
    with open(fresh, "w", encoding="utf-8", opener=_private) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_TRUNC, 0o600)
