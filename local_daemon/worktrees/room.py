"""How much of the disk the worktrees of this home take, and whether there is room for one more.

Measured where nobody waits for it: all of them when the daemon starts, each again once its executor is under way and
when it is over, all again now and then where somebody waits for room. Before it is said that the limit is reached,
everything is measured. Spare checkouts count. Deliberately takes nothing away (`scheduler/leftovers.py`).
Tests: tests/unit/daemon/worktrees/test_room.py.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from time import monotonic

from local_daemon.worktrees import worktree

_BLOCK_BYTES = 512
"""What the system counts blocks in, whatever the file system's are."""

SEEK_S = 15.0
"""How long to wait before room is sought again: no event tells that somebody made some."""
_SEEK_SHARE = 20
"""And at least so many times as long as it took."""

Roots = tuple[Path, Path]
"""Where worktrees are, and where each life of the daemon has its spare checkouts."""


class RoomUsedUp(Exception):
    """The worktrees take as much disk as they may; `ropeway gc --dry-run` says which stay and why."""

    def __init__(self, *, used_bytes: int, bytes_max: int) -> None:
        super().__init__(
            f"worktrees take {used_bytes} bytes, and [worktrees] bytes_max = {bytes_max} in daemon.toml; "
            "`ropeway gc --dry-run` says which stay and why"
        )
        self.used_bytes = used_bytes
        self.bytes_max = bytes_max


class Room:
    """The worktrees below some directories, measured; without `bytes_max` nothing is."""

    def __init__(self, roots: Roots | None = None, *, bytes_max: int | None = None) -> None:
        """Nothing is measured before `begin`."""
        self._roots = roots
        self._bytes_max = bytes_max
        self._sizes: dict[Path, int] = {}
        self._looking: set[asyncio.Task[None]] = set()
        self._told: Callable[[], None] | None = None
        self._is_said = False
        self._sought_again_at = 0.0

    @property
    def used_bytes(self) -> int:
        """As far as it is known."""
        return sum(self._sizes.values())

    @property
    def is_full(self) -> bool:
        """Whether the limit is reached, as far as it is known."""
        return self._bytes_max is not None and self.used_bytes >= self._bytes_max

    def begin(self, *, told: Callable[[], None]) -> None:
        """Measure what is there, in the background; `told` is called when there is room again."""
        self._told = told
        if self._bytes_max is not None:
            self._background(self._measure())

    def look(self, path: Path) -> None:
        """A worktree there was made, has changed or is gone: measure it in the background. What else is gone meanwhile,
        as a spare checkout that became a worktree, counts no more."""
        if self._bytes_max is None:
            return
        was_full = self.is_full
        self._sizes = {each: size_bytes for each, size_bytes in self._sizes.items() if os.path.lexists(each)}
        self._tell(was_full)
        if path.exists():
            self._background(self._measure_one(path))

    def say(self) -> None:
        """A step has failed for want of room: those behind it wait, until there is some or somebody `ask_again`s."""
        self._is_said = True

    @property
    def is_said(self) -> bool:
        """Whether the next step is to wait, since another one has failed for the same reason."""
        return self._is_said

    def ask_again(self) -> None:
        """Somebody has cleared up: let the next step find out whether there is room."""
        self._is_said = False
        if self._told is not None:
            self._told()

    def seek(self, make: Callable[[], Coroutine[None, None, None]]) -> None:
        """Somebody waits: have room made and measured in the background, unless that was done just now."""
        if monotonic() >= self._sought_again_at:
            self._sought_again_at = float("inf")
            self._background(self._seek(make))

    async def require(self) -> None:
        """Raises RoomUsedUp where there is no room for one more."""
        if self._bytes_max is None or not self.is_full:
            return
        await self._measure()
        if self.is_full:
            raise RoomUsedUp(used_bytes=self.used_bytes, bytes_max=self._bytes_max)

    async def close(self) -> None:
        """Wait for what is being measured."""
        await asyncio.gather(*self._looking, return_exceptions=True)

    def _background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def _seek(self, make: Callable[[], Coroutine[None, None, None]]) -> None:
        began = monotonic()
        try:
            with suppress(RoomUsedUp):
                await make()
        finally:
            self._sought_again_at = monotonic() + max(SEEK_S, _SEEK_SHARE * (monotonic() - began))

    async def _measure(self) -> None:
        if self._roots is None:
            return
        was_full = self.is_full
        self._sizes = await asyncio.to_thread(sizes_bytes, self._roots)
        self._tell(was_full)

    async def _measure_one(self, path: Path) -> None:
        was_full = self.is_full
        size_bytes = await asyncio.to_thread(tree_bytes, path)
        if path.exists():
            self._sizes[path] = size_bytes
        else:
            self._sizes.pop(path, None)
        self._tell(was_full)

    def _tell(self, was_full: bool) -> None:
        if self.is_full:
            return
        self._is_said = False
        if was_full and self._told is not None:
            self._told()


def sizes_bytes(roots: Roots) -> dict[Path, int]:
    """What each worktree takes, with what lies beside it, and each spare checkout. Blocking: call it in a thread."""
    worktrees, spares = roots
    sizes: dict[Path, int] = {}
    for entry in (*worktrees.glob("*"), *spares.glob("*/*")):
        whose = entry.with_name(entry.name.removesuffix(worktree.OWN_SUFFIX))
        sizes[whose] = sizes.get(whose, 0) + _bytes_below(entry)
    return sizes


def tree_bytes(path: Path) -> int:
    """What the worktree at `path` takes, with what lies beside it. Blocking: call it in a thread."""
    return _bytes_below(path) + _bytes_below(worktree.own_dir(path))


def _bytes_below(path: Path) -> int:
    """By the blocks that files take; what goes away meanwhile counts nothing, nor does what may not be read."""
    total = 0
    folders = [os.fspath(path)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES
    return total
