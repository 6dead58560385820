"""Noticing that a process prints more than any disk should give for it.

One timer, set by how soon the limit could be reached at the earliest: nothing tells that a file is large without
telling of each write, and a process that prints little is looked at every few seconds. Deliberately ends nothing: the
scheduler does. Tests: tests/unit/daemon/processes/test_flood.py.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

OUTPUT_BYTES_MAX = 4 * 1024**3
"""Of an attempt's outputs together, as they are printed; of each only `capture.LOG_BYTES_MAX` is kept."""

_BYTES_PER_S = 1024**3
"""As fast as disks take it."""

_SOONEST_S = 1.0


async def until_flooded(outputs: Sequence[Path], *, bytes_max: int) -> None:
    """Return once the files together hold more than `bytes_max`."""
    while True:
        left = bytes_max - _size(outputs)
        if left < 0:
            return
        await asyncio.sleep(max(_SOONEST_S, left / _BYTES_PER_S))


def _size(outputs: Sequence[Path]) -> int:
    size = 0
    for path in outputs:
        with suppress(OSError):  # Whoever prints may put anything in its place: a link to itself, say.
            size += os.stat(path).st_size
    return size
