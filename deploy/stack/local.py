"""A whole Ropeway on one machine: database, cloud, worker, daemon and connector, on free loopback ports.

The demo, the journeys and the benchmarks stand on it. Real processes and real sockets, each with its state below one
directory, so that any of them may be killed and started again. Deliberately not how to run Ropeway in earnest: see
docs/operators.md. Tests: the journeys.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.config.embedded_postgres import EmbeddedPostgres
from deploy.stack.processes import NotReady, Process

ROOT = Path(__file__).resolve().parents[2]
_COMMAND_S = 120
_READY_S = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """What bootstrapping gave: a project, its owner's sign-in, and a planner's token."""

    organization_id: str
    project_id: str
    project: str
    email: str
    password: str
    token: str


class LocalStack:
    """The processes of one machine and where their state lies."""

    def __init__(self, root: Path, *, env: Mapping[str, str] | None = None) -> None:
        """Nothing starts yet. `root` is kept between uses; `env` is added to every process's environment."""
        self.root = root
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.postgres = EmbeddedPostgres(root / "var" / "postgres")
        self.daemon_home = root / "daemon"
        self.connector_home = root / "connector"
        self._extra_env = dict(env or {})
        self.cloud = self._process(
            "cloud", ["daphne", "-v", "0", "-b", "127.0.0.1", "-p", str(self.port), "--no-server-name",
                      "cloud.config.asgi:application"]
        )  # fmt: skip
        self.worker = self._process(
            "worker", ["manage.py", "qcluster"], env={"DJANGO_SETTINGS_MODULE": "cloud.config.settings.worker"}
        )
        self.daemon = self._process("daemon", ["local_daemon.cli", "daemon"])
        self.connector = self._process("connector", ["connector_agent.cli", "run"])

    @property
    def env(self) -> dict[str, str]:
        """The environment every process of the stack gets."""
        passed = {name: value for name, value in os.environ.items() if not name.startswith(("ROPEWAY_", "DATABASE_"))}
        return {
            **passed,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "cloud.config.settings.local",
            "ROPEWAY_VAR": str(self.root / "var"),
            "ROPEWAY_HOME": str(self.daemon_home),
            "ROPEWAY_CONNECTOR_HOME": str(self.connector_home),
            **self._extra_env,
        }

    def _process(self, name: str, argv: list[str], *, env: Mapping[str, str] | None = None) -> Process:
        module = argv[0] if argv[0].endswith(".py") else None
        command = [sys.executable, *argv] if module else [sys.executable, "-m", *argv]
        return Process(
            name=name, argv=command, env={**self.env, **(env or {})}, cwd=ROOT, log=self.root / "logs" / f"{name}.log"
        )

    @property
    def processes(self) -> tuple[Process, ...]:
        """Every process, in the order they are started."""
        return (self.cloud, self.worker, self.daemon, self.connector)

    # -- the cloud

    def prepare_database(self) -> None:
        """Start PostgreSQL and bring the schema up to date."""
        self.postgres.ensure_running()
        self._run([sys.executable, "manage.py", "migrate", "--database", "owner", "--verbosity", "0"])

    def start_cloud(self, **extra_env: str) -> None:
        """Start the ASGI server and wait until it answers."""
        self.cloud.start(extra_env)
        self.cloud.wait_until(lambda: _accepts(self.port), timeout_s=_READY_S)

    def start_worker(self, **extra_env: str) -> None:
        """Start the django-q2 cluster; it takes work up by itself."""
        self.worker.start(extra_env)

    def cloudctl(self, *arguments: str) -> Any:
        """Run `cloudctl … --json` and return its document. Raises NotReady with its output when it fails."""
        return json.loads(self._run([sys.executable, "-m", "cloud.cloudctl.main", *arguments, "--json"]))

    def bootstrap(self, *, organization: str, project: str, email: str) -> Tenant:
        """An organization with one workspace, one project, an owner and a planner's token."""
        made = self.cloudctl(
            "bootstrap", "--organization", organization, "--workspace", "main", "--project", project, "--email", email
        )
        return Tenant(
            organization_id=made["organization_id"],
            project_id=made["project_id"],
            project=project,
            email=email,
            password=made["password"],
            token=made["token"],
        )

    # -- the machine

    def start_daemon(self, **extra_env: str) -> None:
        """Start the daemon and wait until it answers."""
        self.daemon.start(extra_env)
        self.daemon.wait_until(self._daemon_is_ready, timeout_s=_READY_S)

    def _daemon_is_ready(self) -> bool:
        with suppress(OSError, ValueError, KeyError):
            return bool(json.loads((self.daemon_home / "daemon.json").read_text())["pid"] == self.daemon.pid)
        return False

    def ropeway(self, *arguments: str) -> Any:
        """Run `ropeway … --json` and return its document."""
        return json.loads(self._run([sys.executable, "-m", "local_daemon.cli", *arguments, "--json"]))

    def enroll(self, code: str) -> None:
        """Enroll the connector with a one-time code."""
        self._run([sys.executable, "-m", "connector_agent.cli", "enroll", "--cloud", self.url, "--code", code,
                   "--daemon-home", str(self.daemon_home)])  # fmt: skip

    def share(self, repository_id: str) -> None:
        """Let the connector expose a repository."""
        self._run([sys.executable, "-m", "connector_agent.cli", "share", repository_id])

    def start_connector(self, **extra_env: str) -> None:
        """Start the connector; it connects by itself."""
        self.connector.start(extra_env)

    # -- all of it

    def stop(self) -> None:
        """Stop everything, the database last."""
        for process in reversed(self.processes):
            process.stop()
        self.postgres.stop()

    def keep(self) -> None:
        """Leave everything running and remember it for `stop_kept`."""
        running = [process.pid for process in reversed(self.processes) if process.is_running()]
        (self.root / "kept.json").write_text(json.dumps({"pids": running}))

    def _run(self, argv: list[str]) -> str:
        done = subprocess.run(
            argv, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=_COMMAND_S, check=False
        )
        if done.returncode != 0:
            command = " ".join(argv[1:4])
            raise NotReady(f"{command} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout


def stop_kept(root: Path) -> bool:
    """Stop what `LocalStack.keep` left running below `root`; False if there is nothing."""
    kept = root / "kept.json"
    if not kept.exists():
        return False
    for pid in json.loads(kept.read_text())["pids"]:
        # A pid may have passed to a stranger since: only a process with our state directory is ours.
        if f"ROPEWAY_VAR={root / 'var'}" in _environment_of(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    EmbeddedPostgres(root / "var" / "postgres").stop()
    kept.unlink()
    return True


def clone(source: Path, target: Path) -> None:
    """A plain clone of a repository, so that nothing the stack does touches the original."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(
        ["git", "clone", "--quiet", "--no-hardlinks", str(source), str(target)], check=True, capture_output=True
    )


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _accepts(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _environment_of(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\x00")
    done = subprocess.run(["ps", "-Eww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.split()
