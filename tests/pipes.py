"""What a process says through a named pipe, waited for no longer than anything takes that works.

A plain read of one waits for ever where nobody comes to write, and with it the thread that reads, or the whole run.
"""

import asyncio
import os
import select
from collections.abc import Iterator
from pathlib import Path

SAYS_WITHIN_S = 120
"""Only what hangs takes so long: a busy machine is no failure."""


async def pipe_read(pipe: Path) -> str:
    """All that somebody writes, from when they open the pipe until nobody has it open for writing any more."""
    return await asyncio.to_thread(lambda: b"".join(_pieces(pipe)).decode())


def _pieces(pipe: Path) -> Iterator[bytes]:
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as reading:
        # Before the first writer comes, a read would find the end.
        while select.select([reading], [], [], SAYS_WITHIN_S)[0]:
            if not (piece := reading.read(65536)):
                return
            yield piece
    raise TimeoutError(f"Nothing more was written to {pipe.name} in {SAYS_WITHIN_S} s.")
