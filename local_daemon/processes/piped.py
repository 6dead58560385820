"""A child that is spoken with over its standard input and output, for protocols that need both at once.

Deliberately not for executors themselves, which are latched and write to files (`latch.py`): it is what an attempt's
own process uses to speak with an agent below it, in the same family. Called by `executors/acp_client.py`.
Tests: tests/unit/daemon/processes/test_piped.py.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from local_daemon.processes import children, ending, exits

LINE_BYTES = 16 * 1024 * 1024
"""The longest line that is taken from it."""

_GRACE_S = 2.0


class LineReader(asyncio.StreamReader):
    """Ends where a line goes on beyond `LINE_BYTES`: who reads lines would hold all that is said, for ever."""

    said_too_much = False

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        """The next line. Raises IncompleteReadError at the end, and for one that is too long."""
        try:
            return await super().readuntil(separator)
        except asyncio.LimitOverrunError:
            self.said_too_much = True
            raise asyncio.IncompleteReadError(b"", None) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Piped:
    """The child and the two ends of the talk. Its standard error is ours."""

    stdin: asyncio.StreamWriter
    stdout: "LineReader"
    child: "subprocess.Popen[bytes]"

    async def ended(self) -> children.ExitStatus:
        """How it ended, once it has."""
        await exits.until_ended({self.child.pid}, timeout_s=None)
        return children.child_status(self.child)


@asynccontextmanager
async def child_piped(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> AsyncIterator[Piped]:
    """Start `argv` and see its group gone when the block ends. Raises LaunchFailed."""
    child = children.child_start(
        argv, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr.fileno()
    )
    assert child.stdin is not None and child.stdout is not None
    try:
        writer = await _writer(child.stdin)
        reader, reading = await _reader(child.stdout)
        try:
            yield Piped(stdin=writer, stdout=reader, child=child)
        finally:
            writer.close()
            reading.close()
    finally:
        family = ending.Family(leader=child.pid, attempt_id=None)
        ended = await ending.family_end(family, grace_s=_GRACE_S)
        if child.pid not in ended.survivors:
            children.child_reap(child)


async def _reader(pipe: IO[bytes]) -> tuple[LineReader, asyncio.ReadTransport]:
    reader = LineReader(limit=LINE_BYTES)
    loop = asyncio.get_running_loop()
    reading, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader, reading


async def _writer(pipe: IO[bytes]) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
    return asyncio.StreamWriter(transport, protocol, None, loop)
