"""Somebody at a shell: real commands, a real daemon, documents and exit codes."""

import atexit
import functools
import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_daemon.processes import process_table
from tests.integration.warmed import Warmed

ENDS_WITHIN_S = 60
CHECKOUT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


@functools.cache
def _ropeway() -> Warmed:
    """A Python that has imported all commands, for as long as this one lives: starting one takes half a second."""
    rooms = (path.stem for path in (CHECKOUT / "local_daemon" / "cli").glob("[!_]*.py"))
    ready = ("local_daemon.client.http", *(f"local_daemon.cli.{room}" for room in sorted(rooms)))
    warmed = Warmed(*ready, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, cwd=CHECKOUT)
    atexit.register(warmed.__exit__)
    return warmed


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Somebody at a shell, in a repository of theirs."""

    home: Path
    repository: Path
    more_env: dict[str, str] = field(default_factory=dict)

    def say(self, *words: str, stdin: str = "", cwd: Path | None = None) -> Said:
        """Run `ropeway` to its end: a process of its own, whose imports were done before."""
        done = _ropeway().run("local_daemon.cli", *words, given=stdin, env=self.env, cwd=cwd or self.repository)
        return Said(code=done.returncode, out=done.stdout, err=done.stderr)

    def ask(self, *words: str, stdin: str = "") -> Any:
        """Run `ropeway … --json`, which must succeed, and return its document."""
        said = self.say(*words, "--json", stdin=stdin)
        assert said.code == 0, said
        return said.document

    def argv(self, *words: str) -> list[str]:
        """The command, as it is installed: nothing of the current folder is imported."""
        return [sys.executable, "-P", "-m", "local_daemon.cli", *words]

    @property
    def env(self) -> dict[str, str]:
        """The operator's environment."""
        return {**os.environ, "ROPEWAY_HOME": str(self.home), "PYTHONPATH": str(CHECKOUT), **self.more_env}

    def daemon_pid(self) -> int:
        """The daemon of this home."""
        return int(json.loads((self.home / "daemon.json").read_text())["pid"])

    def daemon_kill(self) -> None:
        """End the daemon, if one was started, and see it gone."""
        if (self.home / "daemon.json").exists():
            _kill(self.daemon_pid())

    def leave(self) -> None:
        """End the daemon and whatever it left at work: executors outlive it, for the next one to account for."""
        self.daemon_kill()
        while left := [pid for pid in _running() if process_table.works_in(pid, self.home)]:
            for pid in left:
                _kill(pid)


def _running() -> Iterator[int]:
    return (entry.pid for entry in process_table.all_entries() if not entry.has_ended)


def _kill(pid: int) -> None:
    """End a process and see it gone."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, signal.SIGKILL)
    select.select([process], [], [], ENDS_WITHIN_S)
    os.close(process)


def at_terminal(operator: Operator, *words: str, typed: str = "") -> tuple[str, int]:
    """Run `ropeway` on a terminal, type something, and read what it shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        operator.argv(*words),
        cwd=operator.repository,
        env={**operator.env, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    shown = b"".join(iter(_reading(ours), b""))
    os.close(ours)
    return shown.decode(errors="replace"), process.wait(ENDS_WITHIN_S)


def _reading(terminal: int) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            return os.read(terminal, 4096)
        except OSError:
            return b""  # Linux says EIO when the last process has left the terminal.

    return read
