"""Noticing that a process has stopped talking: nothing was written to its output for so long.

One timer, set anew for what was written meanwhile; how often it writes costs nothing. Deliberately ends nothing: the
scheduler decides what silence means. Tests: tests/unit/daemon/processes/test_silence.py.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

_CLOCK_SET_S = 1.0


async def until_silent(outputs: Sequence[Path], *, for_s: float) -> None:
    """Return once nothing has been written to any of the files for `for_s` seconds, counted from now at the earliest.
    While the machine sleeps, and where its clock is set, more is waited rather than less."""
    clocks = _clocks_apart_s()
    seen, left_s = _written(outputs), for_s
    while True:
        await asyncio.sleep(left_s)
        now = _written(outputs)
        if now == seen:
            return
        seen, left_s = now, for_s
        moved_s, clocks = abs(_clocks_apart_s() - clocks), _clocks_apart_s()
        if moved_s < _CLOCK_SET_S:
            left_s -= min(max(0.0, time.time() - max(written_at for written_at, _ in now)), for_s)


def _written(outputs: Sequence[Path]) -> list[tuple[float, int]]:
    found = []
    for path in outputs:
        try:
            stat = os.stat(path)
        except OSError:  # Whoever prints may put anything in its place: a link to itself, say.
            found.append((0.0, 0))
            continue
        found.append((stat.st_mtime, stat.st_size))
    return found


def _clocks_apart_s() -> float:
    return time.time() - time.monotonic()
