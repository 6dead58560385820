"""Being told when a program may have come to a PATH or gone from it, by the kernel.

What changed is not said; who is told looks for itself. A directory that is not there yet is waited for in the nearest
one that is. Called by `bootstrap` while somebody follows the executors.
Tests: tests/unit/daemon/executors/test_search_path.py.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack
from pathlib import Path

from local_daemon.processes import growth

FOLDERS_MAX = 64
"""More directories than any PATH has that a person wrote."""


async def changes(search_path: str | None) -> AsyncGenerator[None, None]:
    """Yield once what follows will be told, and then each time a program may have come or gone since. Ends where the
    system has no watches to give."""
    kernel = growth.Growth()
    while True:
        # Watched anew each time: a directory may have come, or be another one under the same name. What happens between
        # two watches is seen by who looks once the second one is there.
        with ExitStack() as watches:
            told = [
                watching.grown(after=watching.mark)
                for folder in dict.fromkeys(_folders(search_path))
                if (watching := _watched(kernel, folder, watches)) is not None
            ]
            if not told:
                return
            yield
            try:
                await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for waiter in told:
                    waiter.cancel()


def _watched(kernel: growth.Growth, folder: Path, watches: ExitStack) -> growth.Growing | None:
    try:
        return watches.enter_context(kernel.watched(folder))
    except FileNotFoundError:
        return None  # Gone since it was looked for.


def _folders(search_path: str | None) -> Iterator[Path]:
    """The directories of a PATH; of one that is not there, the nearest above it."""
    for name in (search_path or os.defpath).split(os.pathsep)[:FOLDERS_MAX]:
        folder = Path(name).absolute()
        nearest = next((path for path in (folder, *folder.parents) if os.path.isdir(path)), None)
        if name and nearest is not None:
            yield nearest
