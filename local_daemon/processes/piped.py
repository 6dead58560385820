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
from typing import IO

from local_daemon.processes import children, ending, exits

LINE_BYTES = 16 * 1024 * 1024
"""The longest line that is taken from it."""

_GRACE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piped:
    """The child and the two ends of the talk. Its standard error is ours."""

    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
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
        try:
            yield Piped(stdin=writer, stdout=await _reader(child.stdout), child=child)
        finally:
            writer.close()
    finally:
        family = ending.Family(leader=child.pid, attempt_id=None)
        ended = await ending.family_end(family, grace_s=_GRACE_S)
        if child.pid not in ended.survivors:
            children.child_reap(child)


async def _reader(pipe: IO[bytes]) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


async def _writer(pipe: IO[bytes]) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
    return asyncio.StreamWriter(transport, protocol, None, loop)
