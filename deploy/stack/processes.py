"""One long-lived process of a local stack: started, awaited until ready, killed, found again later.

Deliberately small: no supervision and no restart, because the demo and the crash journeys want to see a process die.
Called by `stack/local.py`. Tests: every journey starts its processes with it.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_POLL_S = 0.02
_STOP_S = 15.0


class NotReady(Exception):
    """The process did not become ready; its log says why."""


@dataclass(slots=True, kw_only=True)
class Process:
    """A command with its environment and its log file; `start` it as often as it was ended."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    popen: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _log_start: int = 0

    def start(self, extra_env: Mapping[str, str] | None = None) -> None:
        """Start the command in a process group of its own, its output appended to the log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self.popen = subprocess.Popen(
                list(self.argv),
                env={**self.env, **(extra_env or {})},
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id of the command as started last. Raises NotReady if it never was."""
        if self.popen is None:
            raise NotReady(f"{self.name} was not started")
        return self.popen.pid

    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.popen is not None and self.popen.poll() is None

    def printed(self) -> str:
        """What it printed since it was started last."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def wait_until(self, is_ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Wait for a condition that this process brings about. Raises NotReady when it ends or takes too long."""
        ended = threading.Event()
        for _ in range(int(timeout_s / _POLL_S)):
            if is_ready():
                return
            if not self.is_running():
                raise NotReady(f"{self.name} ended with {self.popen and self.popen.returncode}:\n{self._tail()}")
            ended.wait(_POLL_S)
        raise NotReady(f"{self.name} was not ready within {timeout_s:.0f} s:\n{self._tail()}")

    def wait_for_exit(self, *, timeout_s: float) -> int:
        """Wait for its end and return the exit code. Raises subprocess.TimeoutExpired."""
        if self.popen is None:
            raise NotReady(f"{self.name} was not started")
        return self.popen.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL to this one process, as a crash would; its children are left to their fate."""
        if self.is_running():
            os.kill(self.pid, signal.SIGKILL)
            self.wait_for_exit(timeout_s=_STOP_S)

    def stop(self) -> None:
        """SIGTERM, and after a while SIGKILL to its whole group."""
        if not self.is_running():
            return
        os.kill(self.pid, signal.SIGTERM)
        try:
            self.wait_for_exit(timeout_s=_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.wait_for_exit(timeout_s=_STOP_S)

    def _tail(self) -> str:
        return "\n".join(self.printed().splitlines()[-25:])
