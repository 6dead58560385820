"""What the connector is told and what it keeps: its home directory, its settings, its enrollment.

`connector.toml` is the allow-list: only what stands there is exposed, and it is read again when the connector is told
so (SIGHUP). Nothing here talks to anybody. Tests: tests/unit/connector/test_config.py.
"""

import contextlib
import json
import os
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, ValidationError

from local_daemon.protocol import failpoints, faults, ids, limits, wire

RepositoryId = Annotated[str, StringConstraints(pattern=ids.pattern_for(ids.IdPrefix.REPOSITORY))]


CLOUD_URL = r"^https?://[^\s/?#@]+$"
"""Scheme and name only: the name is what a proof is made for, and a path would not be dialled."""

FILE_BYTES = limits.MIB
"""The longest file of ours that is read; hundreds of shares stay far below."""


class ConfigInvalid(Exception):
    """The connector's settings are not valid; it says which line or key."""


class NotEnrolled(Exception):
    """This connector belongs to nobody yet; run `ropeway-connector enroll` first."""


class AlreadyRunning(Exception):
    """Another connector runs with this home directory; stop it first, or use another --home."""


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

    cloud_url: str = Field(pattern=CLOUD_URL, max_length=500)
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
    def lock(self) -> Path:
        """Held by the connector that runs."""
        return self.root / "lock"

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
        return Config.model_validate(tomllib.loads(file_read(home.config).decode()))
    except FileNotFoundError:
        return Config()
    except UnicodeDecodeError as error:
        raise ConfigInvalid(f"{home.config.name} is not UTF-8 text") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigInvalid(f"{home.config.name}: {error}") from error
    except ValidationError as error:
        found = "; ".join(f"{item['field']}: {item['problem']}" for item in faults.field_faults(error))
        raise ConfigInvalid(f"{home.config.name}: {found}") from error


def config_write(home: Home, config: Config) -> None:
    """Replace the settings file, all of it or nothing."""
    lines = [
        "# What ropeway-connector exposes, and where it finds the daemon. Change it with share and unshare, or here."
    ]
    if config.ca_file is not None:
        lines.append(f"ca_file = {_toml_text(config.ca_file)}")
    if config.daemon.home:
        lines += ["", "[daemon]", f"home = {_toml_text(config.daemon.home)}"]
    for share in config.share:
        lines += ["", "[[share]]", f"repository_id = {_toml_text(share.repository_id)}"]
        if share.label is not None:
            lines.append(f"label = {_toml_text(share.label)}")
    private_write(home.config, "\n".join(lines) + "\n")


def enrollment_read(home: Home) -> Enrollment:
    """To whom the connector belongs. Raises NotEnrolled."""
    try:
        return Enrollment.model_validate_json(file_read(home.enrollment))
    except FileNotFoundError as error:
        raise NotEnrolled from error
    except ValidationError as error:
        raise ConfigInvalid(f"{home.enrollment.name} is damaged; enroll again") from error


def enrollment_write(home: Home, enrollment: Enrollment) -> None:
    """Keep what enrolling gave. Lost in a crash, it is had again: the same code and key get the same answer."""
    failpoints.failpoint("connector.enrollment_save.before_commit")
    private_write(home.enrollment, enrollment.model_dump_json())
    failpoints.failpoint("connector.enrollment_save.after_commit")


def file_read(path: Path) -> bytes:
    """A file of the home directory. Raises FileNotFoundError, and ConfigInvalid for one that cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigInvalid(f"{path.name} cannot be read: {error.strerror}") from error
    if len(content) > FILE_BYTES:
        raise ConfigInvalid(f"{path.name} is longer than {FILE_BYTES} bytes")
    return content


def private_write(path: Path, content: str) -> None:
    """Write a file that its owner alone may read, all of it or nothing, durable on return."""
    # A name of its own: two commands at once must not write into one file, and what lies there may be anyone's.
    descriptor, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _toml_text(text: str) -> str:
    """A TOML string. JSON's escapes, but for what TOML reads differently: characters beyond 16 bits, and delete."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
