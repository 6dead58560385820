"""Running a short tool to its end and reading what it says: git, a version probe.

Deliberately not for executors or checks, which outlive a call and write to files (`latch.py`). One event-loop thread,
no helper threads: pipes are read as they fill and the end is told by the kernel. Called by `worktrees/git.py` and the
executors' probes. Tests: tests/unit/daemon/processes/test_command.py.
"""

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import IO

from local_daemon.processes import children, exits

_READ_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedCommand:
    """How a tool ended and what it said. `exit_code` is negative for a signal, as in `subprocess`."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    timed_out: bool
    truncated: bool
    """The output went past the limit: the tool was ended there and what was read is incomplete."""


class _Outcome(Enum):
    """Why waiting for a tool is over."""

    ENDED = auto()  # it exited
    OVERFLOWED = auto()  # it said too much
    TIMED_OUT = auto()  # it took too long


class _Output:
    """One pipe of a tool, read without blocking up to a limit; at the limit `overflow` is called, once."""

    def __init__(self, pipe: IO[bytes], *, limit_bytes: int, overflow: Callable[[], None]) -> None:
        self._descriptor = pipe.fileno()
        self._limit_bytes = limit_bytes
        self._overflow = overflow
        self.content = bytearray()
        self.truncated = False
        self._is_open = True
        os.set_blocking(self._descriptor, False)
        asyncio.get_running_loop().add_reader(self._descriptor, self.read_available)

    def read_available(self) -> None:
        """Take what is there."""
        while self._is_open:
            try:
                chunk = os.read(self._descriptor, _READ_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                self.close()
                return
            self.content += chunk
            if len(self.content) > self._limit_bytes:
                del self.content[self._limit_bytes :]
                self.truncated = True
                self.close()
                self._overflow()

    def close(self) -> None:
        """Stop reading."""
        if self._is_open:
            self._is_open = False
            asyncio.get_running_loop().remove_reader(self._descriptor)


async def run_command(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout_s: float,
    max_output_bytes: int,
    stdin_bytes: bytes = b"",
) -> CompletedCommand:
    """Run `argv` in its own group until it ends; past the timeout or the output limit, or when the calling task is
    cancelled, the group is killed first. Raises LaunchFailed if it can't be started."""
    with _input(stdin_bytes) as stdin:
        child = children.child_start(
            argv, cwd=cwd, env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    assert child.stdout is not None and child.stderr is not None
    outcome: asyncio.Future[_Outcome] = asyncio.get_running_loop().create_future()

    def settle(how: _Outcome) -> None:
        if not outcome.done():
            outcome.set_result(how)

    with child.stdout, child.stderr:
        outputs = [
            _Output(pipe, limit_bytes=max_output_bytes, overflow=lambda: settle(_Outcome.OVERFLOWED))
            for pipe in (child.stdout, child.stderr)
        ]
        try:
            await _until_settled(outcome, settle, pid=child.pid, timeout_s=timeout_s)
        finally:
            # The child is not reaped yet, so its pid, and with it the group's, cannot belong to anybody else.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            status = children.child_reap(child)
            for output in outputs:
                output.read_available()
                output.close()
    return CompletedCommand(
        exit_code=-status.signal if status.signal is not None else status.exit_code or 0,
        stdout=bytes(outputs[0].content),
        stderr=bytes(outputs[1].content),
        timed_out=outcome.result() is _Outcome.TIMED_OUT,
        truncated=any(output.truncated for output in outputs),
    )


async def _until_settled(
    outcome: "asyncio.Future[_Outcome]", settle: Callable[[_Outcome], None], *, pid: int, timeout_s: float
) -> None:
    loop = asyncio.get_running_loop()
    timer = loop.call_later(timeout_s, settle, _Outcome.TIMED_OUT)
    with exits.exit_descriptor(pid) as descriptor:
        loop.add_reader(descriptor, settle, _Outcome.ENDED)
        try:
            await outcome
        finally:
            timer.cancel()
            loop.remove_reader(descriptor)


@contextmanager
def _input(content: bytes) -> Iterator[int | IO[bytes]]:
    # A file, not a pipe: the tool may read as slowly as it likes and nobody has to feed it.
    if not content:
        yield subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file
