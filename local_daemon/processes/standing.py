"""A tool that stays for the next order: it takes them line by line and answers each with so many lines.

For what would cost a process each time. One order at a time; whatever is not an answer in time ends the tool, and who
asked does it another way. When the daemon dies the tool reads end of file. Deliberately not for executors (`latch.py`,
`piped.py`). Started by `worktrees/git.py`.
Tests: tests/unit/daemon/processes/test_standing.py.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from local_daemon.processes import children, exits

ORDER_BYTES_MAX = 32 * 1024
"""A longer order might not fit in the pipe at once."""

GRACE_S = 2.0
"""How long a tool that was asked to end may take before it is killed."""

_KILLED_S = 1.0
_ANSWER_BYTES_MAX = 64 * 1024


class NoAnswer(Exception):
    """The tool ended, said too much, or took too long; it is gone. What was ordered may have been done."""


class Standing:
    """One such tool; its owner closes it."""

    def __init__(self, child: "subprocess.Popen[bytes]") -> None:
        """Use `start`."""
        assert child.stdin is not None and child.stdout is not None
        self._child = child
        self._stdin, self._stdout = child.stdin, child.stdout
        self._turn = asyncio.Lock()
        self._said = bytearray()
        self._wanted = 0
        self._answer: asyncio.Future[list[bytes]] | None = None
        self._ending: asyncio.Task[None] | None = None
        for pipe in (self._stdin, self._stdout):
            os.set_blocking(pipe.fileno(), False)
        asyncio.get_running_loop().add_reader(self._stdout.fileno(), self._read)

    @classmethod
    def start(cls, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Self:
        """Start the tool; what it complains of nobody hears. Raises LaunchFailed."""
        return cls(
            children.child_start(
                argv, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        )

    @property
    def is_closed(self) -> bool:
        """Whether it takes no more orders; it may not have ended yet."""
        return self._ending is not None

    async def ask(self, order: bytes, *, lines: int, timeout_s: float) -> list[bytes]:
        """Give an order and answer the lines that come back, without their ends. Raises NoAnswer, once the tool no
        longer stands in the way of who does it another way."""
        try:
            async with self._turn:
                return await self._answered(order, lines, timeout_s)
        except NoAnswer:
            await self.gone()
            raise

    async def _answered(self, order: bytes, lines: int, timeout_s: float) -> list[bytes]:
        if self.is_closed or len(order) > ORDER_BYTES_MAX:
            raise NoAnswer
        self._wanted = lines
        self._answer = asyncio.get_running_loop().create_future()
        try:
            if os.write(self._stdin.fileno(), order) != len(order):
                raise NoAnswer
            async with asyncio.timeout(timeout_s):
                return await self._answer
        except (OSError, TimeoutError) as error:
            raise NoAnswer from error
        finally:
            is_answered = self._answer.done() and not self._answer.cancelled() and not self._answer.exception()
            self._answer = None
            if not is_answered:
                self.close()

    def close(self) -> None:
        """Have the tool end, whatever it is at; nobody is held up until it has."""
        if self.is_closed:
            return
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(NoAnswer())
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._stdout.fileno())
        # Asked, not killed: it takes its locks away.
        self._signal(signal.SIGTERM)
        self._stdin.close()
        self._stdout.close()
        self._ending = loop.create_task(self._end(), name="tool that ends")

    async def gone(self) -> None:
        """Wait until a tool that was closed has ended, but no longer than killing it takes: one that waits for a disk
        may stay, and does nothing more."""
        if self._ending is not None:
            await asyncio.wait({self._ending}, timeout=GRACE_S + _KILLED_S)

    async def _end(self) -> None:
        try:
            if await exits.until_ended([self._child.pid], timeout_s=GRACE_S):
                self._signal(signal.SIGKILL)
                await exits.until_ended([self._child.pid], timeout_s=None)
        except asyncio.CancelledError:
            self._signal(signal.SIGKILL)  # The daemon ends, and waits for nobody.
            raise
        children.child_reap(self._child)

    def _signal(self, number: signal.Signals) -> None:
        # Not reaped yet, so its pid can't belong to anybody else.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)

    def _read(self) -> None:
        try:
            piece = os.read(self._stdout.fileno(), _ANSWER_BYTES_MAX)
        except BlockingIOError:
            return
        self._said += piece
        if not piece or self._answer is None or len(self._said) > _ANSWER_BYTES_MAX:
            self.close()
        elif self._said.count(b"\n") >= self._wanted and not self._answer.done():
            *said, rest = bytes(self._said).split(b"\n")
            self._said.clear()
            if rest or len(said) != self._wanted:
                self.close()
            else:
                self._answer.set_result(said)
