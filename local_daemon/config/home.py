"""The daemon's home directory: which file lies where, made private on first use.

Deliberately without settings (`settings.py`) and without keys (`identity`). Named by ROPEWAY_HOME, else the user's data
directory. Called by `bootstrap`, `client` and the CLI. Tests: tests/unit/daemon/config/test_home.py.
"""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SOCKET_PATH_BYTES = 100
"""A Unix socket's path may have 107 bytes, 103 on macOS."""


class HomeUnsafe(Exception):
    """The daemon's directory belongs to another user; choose a home of your own."""


class HomeInUse(Exception):
    """Another daemon runs in this home; use that one, or stop it first."""


class HomeUnusable(Exception):
    """The daemon's home can't be used; name another with --home or ROPEWAY_HOME."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where everything of one daemon lies."""

    root: Path

    @property
    def settings(self) -> Path:
        """The operator's settings; may be missing."""
        return self.root / "daemon.toml"

    @property
    def environment(self) -> Path:
        """What the operator has kept of a shell's environment; may be missing."""
        return self.root / "environment"

    @property
    def record(self) -> Path:
        """The SQLite file."""
        return self.root / "record.sqlite3"

    @property
    def artifacts(self) -> Path:
        """Bytes of evidence."""
        return self.root / "artifacts"

    @property
    def worktrees(self) -> Path:
        """Where attempts work."""
        return self.root / "worktrees"

    @property
    def spares(self) -> Path:
        """Checkouts that no attempt has yet."""
        return self.root / "spares"

    @property
    def scratch(self) -> Path:
        """What attempts need besides their worktree."""
        return self.root / "attempts"

    @property
    def trusted(self) -> Path:
        """Git directories of ours, with the configuration that repositories had before attempts."""
        return self.root / "trusted"

    @property
    def folders(self) -> Path:
        """Repositories of ours, each for a folder without git."""
        return self.root / "folders"

    def folder_repository(self, folder: Path) -> Path:
        """Where the repository of this folder without git lies, or would."""
        return self.folders / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]}.git"

    def folder_find(self, place: Path) -> Path | None:
        """The nearest folder without git around `place` that was made known; None where there is none."""
        return next((each for each in (place, *place.parents) if self.folder_repository(each).is_dir()), None)

    @property
    def identity(self) -> Path:
        """The daemon's id and key."""
        return self.root / "identity.json"

    @property
    def place(self) -> Path:
        """Where this home belongs, so that a copy of it is noticed."""
        return self.root / "place.json"

    @property
    def token(self) -> Path:
        """What every request must show."""
        return self.root / "token"

    @property
    def secrets_key(self) -> Path:
        """What the secrets that attempts began with are encrypted with."""
        return self.root / "secrets.key"

    @property
    def lock(self) -> Path:
        """Held by the one daemon that runs here."""
        return self.root / "lock"

    @property
    def start_lock(self) -> Path:
        """Held by whoever is starting a daemon in the background."""
        return self.root / "starting"

    @property
    def address(self) -> Path:
        """Where the running daemon answers; there while it does."""
        return self.root / "daemon.json"

    @property
    def log(self) -> Path:
        """What a daemon that was started by the CLI writes."""
        return self.root / "daemon.log"

    @property
    def socket(self) -> Path:
        """The Unix socket: here, or where the home's path is too long for one, in a private temporary directory."""
        here = self.root / "daemon.sock"
        if len(os.fsencode(here)) <= _SOCKET_PATH_BYTES:
            return here
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"ropeway-{os.getuid()}-{digest}" / "daemon.sock"

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """What nobody but its owner may read."""
        return (self.identity, self.place, self.token, self.secrets_key, self.environment, self.address, self.record)

    def prepare(self) -> None:
        """Make the directories and whatever lies in them readable by their owner only. Raises HomeUnsafe where one
        belongs to somebody else, HomeUnusable where one can't be made."""
        try:
            self._prepare()
        except OSError as error:
            raise HomeUnusable(f"{HomeUnusable.__doc__} ({error.strerror}: {error.filename})") from error

    def _prepare(self) -> None:
        for directory in (self.root, self.artifacts, self.worktrees, self.scratch, self.socket.parent):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if {directory.lstat().st_uid, directory.stat().st_uid} != {os.getuid()}:
                # Whoever owns the directory could put a socket of his own there, and be shown the token.
                raise HomeUnsafe(f"{HomeUnsafe.__doc__} ({directory})")
            directory.chmod(0o700)
        for secret in self.secret_files:
            # A backup that was restored, or a copy, may have brought wider permissions.
            if secret.exists():
                secret.chmod(0o600)


def home_find(explicit: str | None = None) -> Home:
    """The home that is meant: the one given, ROPEWAY_HOME, or the user's own."""
    given = explicit or os.environ.get("ROPEWAY_HOME")
    if given:
        return Home(root=Path(given).expanduser().absolute())
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Home(root=Path(data).expanduser().absolute() / "ropeway")


@contextmanager
def run_lock(home: Home) -> Iterator[None]:
    """Held by whoever is the one daemon of this home, or changes what it is; the system lets go of it when the process
    ends, however it ends. Raises HomeInUse."""
    with home.lock.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HomeInUse from None
        yield


@contextmanager
def start_lock(home: Home) -> Iterator[None]:
    """Held while a daemon is being started in the background, so that two who need one wait for the same."""
    home.prepare()
    with home.start_lock.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def private_write(path: Path, content: str | bytes) -> None:
    """Write a file that its owner alone may read, all of it or nothing, durable on return."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)  # With permissions of its own, or a pipe that would be waited for.
    with open(fresh, "wb", opener=_private) as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_TRUNC, 0o600)
