"""Being told when a program that is looked for may have come to a PATH, gone from it or become another, by the kernel.

Watched is every place by which one of the names is found: in each directory of the PATH, and wherever symbolic links
lead from there; of what is not there yet, the nearest directory that is. Only those names count in it: others may write
there all the time. What changed is not said; who is told looks for itself. Called by `bootstrap` while somebody follows
the executors. Tests: tests/unit/daemon/executors/test_search_path.py.
"""

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from local_daemon.processes import growth

FOLDERS_MAX = 64
"""More directories than any PATH has that a person wrote."""

_LINKS_MAX = 40
_DIRECTORY_FACTS = 2
"""What is kept of a directory; of a file its mode comes next."""

_IN_A_ROW_S = 0.1
"""What changes in a row is looked at once: an installation, and whoever writes all the time where no names are told."""

_Entry = tuple[int, ...] | None
Places = Mapping[Path, Mapping[str, _Entry]]
"""Directories, the names that count in each, and what is there by that name."""


async def changes(search_path: str | None, programs: Iterable[str]) -> AsyncGenerator[None, None]:
    """Yield once what follows will be told, and then each time one of the programs may have come or gone since, or is
    another one. Ends where the system has no watches to give."""
    kernel, looked_for = growth.Growth(), tuple(programs)
    told: Places | None = None
    while True:
        # In a thread: a PATH may lead to another machine's disk, which may be slow to answer. The watches are set from
        # the event loop, but only where that has answered just now.
        found = await asyncio.to_thread(_places, search_path, looked_for)
        with ExitStack() as watches:
            watched = [
                watching
                for place, names in _watched_places(found)
                if (watching := _watched(kernel, place, names, watches)) is not None
            ]
            if not watched:
                return
            marks = [watching.mark for watching in watched]
            # Where it changed meanwhile the wrong places are watched.
            if await asyncio.to_thread(_places, search_path, looked_for) == found:
                if told != found:
                    told = found
                    yield
                await _any_grown(watched, marks)
        await asyncio.sleep(_IN_A_ROW_S)


async def _any_grown(watched: Iterable[growth.Growing], marks: Iterable[int]) -> None:
    waiters = [watching.grown(after=mark) for watching, mark in zip(watched, marks, strict=True)]
    try:
        await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()


def _watched_places(found: Places) -> Iterator[tuple[Path, frozenset[str]]]:
    """The directories, and the files in them where a directory does not tell of these."""
    for folder, entries in found.items():
        yield folder, frozenset(entries)
        if not growth.TELLS_NAMES:
            yield from ((folder / name, frozenset()) for name, entry in entries.items() if entry and _is_file(entry))


def _is_file(entry: tuple[int, ...]) -> bool:
    return len(entry) > _DIRECTORY_FACTS and stat.S_ISREG(entry[_DIRECTORY_FACTS])


def _watched(kernel: growth.Growth, place: Path, names: frozenset[str], watches: ExitStack) -> growth.Growing | None:
    try:
        return watches.enter_context(kernel.watched(place, names=names))
    except FileNotFoundError:
        return None  # Gone since it was looked for.


def _places(search_path: str | None, programs: Iterable[str]) -> Places:
    """Everything by which these programs are found now, or would be."""
    folders = [name for name in (search_path or os.defpath).split(os.pathsep)[:FOLDERS_MAX] if name]
    found: dict[Path, dict[str, _Entry]] = {}
    for program in programs:
        for folder in [""] if os.path.dirname(program) else folders:
            for place, name, entry in _way(Path(folder, program).absolute()):
                # The directory too: another one may have taken its place, with the same in it.
                found.setdefault(place, {os.curdir: _seen(place)})[name] = entry
    return found


def _way(program: Path) -> Iterator[tuple[Path, str, _Entry]]:
    """Each place on the way to a program at which it could become another: every link, all that links lead through,
    and the end, or the first that is not there. What can't be looked at ends the way."""
    folder, *names = program.parts
    ahead, links = names[::-1], 0
    while ahead:
        name = ahead.pop()
        if name == os.pardir:
            folder = os.path.dirname(folder)
            continue
        place = os.path.join(folder, name)
        try:
            entry = os.lstat(place)
            target = Path(os.readlink(place)) if stat.S_ISLNK(entry.st_mode) else None
        except FileNotFoundError:
            yield Path(folder), name, None
            return
        except OSError:
            return
        if links or target is not None or not ahead or not stat.S_ISDIR(entry.st_mode):
            yield Path(folder), name, _identity(entry)
        if target is None:
            folder = place
        elif (links := links + 1) > _LINKS_MAX:
            return
        else:
            ahead += [part for part in reversed(target.parts) if part != target.anchor]
            folder = target.anchor or folder


def _seen(place: Path) -> _Entry:
    try:
        return _identity(os.stat(place))
    except OSError:
        return None  # Gone again.


def _identity(entry: os.stat_result) -> _Entry:
    if stat.S_ISDIR(entry.st_mode):
        return entry.st_dev, entry.st_ino  # What is in it changes all the time.
    return entry.st_dev, entry.st_ino, entry.st_mode, entry.st_size, entry.st_mtime_ns, entry.st_ctime_ns
