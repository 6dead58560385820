"""The daemon's own children: the one place where a process is born, and the one where it is reaped.

Deliberately knows nothing of latches, groups or attempts; `latch.py` and `command.py` build on it. It keeps the set of
children started here, so that whatever else becomes a child of the daemon (a double-forked orphan, once the daemon is
a subreaper) can be told apart and reaped. Tests: tests/unit/daemon/processes/.
"""

import ctypes
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
_UMASK = 0o022

_SIGNALLED = 128
_SIGNALS = frozenset(map(int, signal.Signals))

_started: set[int] = set()


class LaunchFailed(Exception):
    """The process could not be started: its directory or program is missing, or the machine is out of processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitStatus:
    """How a process ended: exactly one of the two is set."""

    exit_code: int | None = None
    signal: int | None = None

    @property
    def is_success(self) -> bool:
        """Whether it ended by itself with exit code 0."""
        return self.exit_code == 0

    @property
    def may_be_signalled(self) -> bool:
        """Whether a signal ended it or, as far as its exit code tells, may have."""
        return self.signal is not None or _signal_like(self.exit_code) is not None

    def __str__(self) -> str:
        if self.signal is not None:
            # Most of the real-time signals have no name.
            is_named = self.signal in _SIGNALS
            return f"ended by {signal.Signals(self.signal).name if is_named else f'signal {self.signal}'}"
        like = _signal_like(self.exit_code)
        return f"exit code {self.exit_code}" + ("" if like is None else f" (as after {like.name})")


def _signal_like(exit_code: int | None) -> signal.Signals | None:
    # With it a shell tells that signal n ended its program, and programs exit with it of their own accord.
    number = (exit_code or 0) - _SIGNALLED
    return signal.Signals(number) if number in _SIGNALS else None


def child_start(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: int | IO[bytes],
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, with exactly `env` and no open file but the three given.
    Raises LaunchFailed. The umask is the usual one, whatever the daemon's: executors write a person's source files."""
    try:
        child = subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            umask=_UMASK,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise LaunchFailed(f"{os.path.basename(argv[0])} could not be started: {reason}") from error
    _started.add(child.pid)
    return child


def child_reap(child: subprocess.Popen[bytes]) -> ExitStatus:
    """Collect the status of a child that is known to have ended; only now may the system use its pid again."""
    code = child.wait()
    _started.discard(child.pid)
    return ExitStatus(signal=-code) if code < 0 else ExitStatus(exit_code=code)


def child_status(child: subprocess.Popen[bytes]) -> ExitStatus:
    """The status of a child that is known to have ended, leaving it unreaped where the system can (Linux)."""
    if child.returncode is None and sys.platform == "linux":
        seen = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        if seen is not None:
            ended_itself = seen.si_code == os.CLD_EXITED
            return ExitStatus(exit_code=seen.si_status) if ended_itself else ExitStatus(signal=seen.si_status)
    return child_reap(child)


def is_started_here(pid: int) -> bool:
    """Whether the pid is a child that this process started and has not reaped yet."""
    return pid in _started


def become_subreaper() -> bool:
    """Make orphaned descendants children of this process instead of init's, so that none of them can be lost.
    Called once, when the daemon starts. False where the system has no such thing (macOS)."""
    return sys.platform == "linux" and bool(_libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def is_subreaper() -> bool:
    """Whether orphaned descendants come to this process."""
    answer = ctypes.c_int(0)
    known = sys.platform == "linux" and _libc().prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0) == 0
    return known and bool(answer.value)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def adopted_reap(pid: int) -> None:
    """Collect an adopted orphan that has ended, if it is ours to collect."""
    if pid not in _started:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return  # Its own parent, or init, collects it.
