"""Waiting for files to grow, and for what a directory holds to change, woken by the kernel and never by polling.

inotify (Linux) or a kqueue (macOS) tells of every write, whoever wrote: here a process that may outlive the daemon and
therefore writes to a file rather than to us. A wake-up is a hint: the waiter reads again. Called by who follows the
output of an attempt (`scheduler/outputs.py`), and for the PATH (`executors/search_path.py`).
Tests: tests/unit/daemon/processes/test_growth.py.
"""

import asyncio
import ctypes
import os
import select
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_IN_MODIFY = 0x2
_IN_FOLDER = 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
"""Mode changed, written, moved away, moved here, created, deleted; the directory itself deleted or moved."""

TELLS_NAMES = sys.platform == "linux"
"""Whether of a directory it is told what came, went or changed in it. A kqueue tells that something came or went: who
has to know when a file in it changes watches that file."""

_EVENT = struct.Struct("iIII")
_READ_BYTES = 64 * 1024
_UNWANTED_S = 0.1
"""Where others write all the time what nobody waits for, it is read in pieces of this length, not one by one."""


class Growing:
    """One file or directory that is watched. Take `mark` before reading it, await what has `grown` after it."""

    def __init__(self) -> None:
        self.mark = 0
        self._waiters: set[asyncio.Future[None]] = set()

    def grown(self, *, after: int) -> "asyncio.Future[None]":
        """Done once something was written since `after`: at once if so already. Who waits no longer cancels it."""
        waiter = asyncio.get_running_loop().create_future()
        if self.mark > after:
            waiter.set_result(None)
        else:
            self._waiters.add(waiter)
            waiter.add_done_callback(self._waiters.discard)
        return waiter

    def announce(self) -> None:
        """Something was written."""
        self.mark += 1
        for waiter in tuple(self._waiters):
            if not waiter.done():
                waiter.set_result(None)


@dataclass(slots=True, kw_only=True)
class _Watch:
    """What the kernel was asked for once. `names` are those that count in a directory; None: all do."""

    growing: Growing
    count: int
    names: frozenset[str] | None


class Growth:
    """The files that somebody waits for. The kernel is asked for each once, however many wait, and only meanwhile."""

    def __init__(self) -> None:
        """Asks for nothing yet."""
        self._kernel: _Kernel | None = None
        self._watched: dict[int, _Watch] = {}

    @contextmanager
    def watched(self, path: Path, *, names: frozenset[str] | None = None) -> Iterator[Growing | None]:
        """Watch a file or directory until the block ends; None where the system has no room for one more watch, and the
        reader has to look again by itself. Of a directory only these `names` are told of, where the kernel tells names.
        Raises FileNotFoundError."""
        key = self._key_add(path)
        if key is None:
            yield None
            return
        watch = self._watched.setdefault(key, _Watch(growing=Growing(), count=0, names=frozenset()))
        watch.count += 1
        # What somebody asked for is told to all who wait for this directory: it is a hint.
        watch.names = None if names is None or watch.names is None else watch.names | names
        try:
            yield watch.growing
        finally:
            self._release(key)

    def _key_add(self, path: Path) -> int | None:
        try:
            if self._kernel is None:
                self._kernel = _Kernel(self._announce)
            return self._kernel.add(path)
        except FileNotFoundError:
            self._close_unused()
            raise
        except OSError:
            self._close_unused()
            return None

    def _announce(self, key: int, name: str | None) -> bool:
        """Tell who waits for it. False for a name that nobody asked for."""
        if key < 0:  # The kernel has lost count, and everybody looks again.
            for each in tuple(self._watched.values()):
                each.growing.announce()
            return True
        watch = self._watched.get(key)
        if watch is not None and name is not None and watch.names is not None and name not in watch.names:
            return False
        if watch is not None:
            watch.growing.announce()
        return True

    def _release(self, key: int) -> None:
        watch = self._watched[key]
        watch.count -= 1
        if not watch.count:
            del self._watched[key]
            if self._kernel is not None:
                self._kernel.remove(key)
        self._close_unused()

    def _close_unused(self) -> None:
        if self._kernel is not None and not self._watched:
            self._kernel.close()
            self._kernel = None


if sys.platform == "linux":

    class _Kernel:
        """One inotify queue in the event loop."""

        def __init__(self, announce: Callable[[int, str | None], bool]) -> None:
            self._announce = announce
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._queue = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
            self._pause: asyncio.TimerHandle | None = None
            self._listen()

        def add(self, path: Path) -> int:
            events = _IN_FOLDER if path.is_dir() else _IN_MODIFY
            return self._checked(self._libc.inotify_add_watch(self._queue, os.fsencode(path), events))

        def remove(self, key: int) -> None:
            self._libc.inotify_rm_watch(self._queue, key)  # It fails where the file is gone, and the watch with it.

        def close(self) -> None:
            if self._pause is not None:
                self._pause.cancel()
            asyncio.get_running_loop().remove_reader(self._queue)
            os.close(self._queue)

        def _listen(self) -> None:
            self._pause = None
            asyncio.get_running_loop().add_reader(self._queue, self._read)

        def _read(self) -> None:
            is_wanted, is_more = False, True
            while is_more:
                try:
                    found = os.read(self._queue, _READ_BYTES)
                except BlockingIOError:
                    break
                is_more = len(found) > _READ_BYTES // 2
                is_wanted |= self._tell(found)
            if not is_wanted and self._pause is None:
                asyncio.get_running_loop().remove_reader(self._queue)
                self._pause = asyncio.get_running_loop().call_later(_UNWANTED_S, self._listen)

        def _tell(self, found: bytes) -> bool:
            """Tell what happened, and whether it was more than names that nobody asked for."""
            told, at = set(), 0
            while at < len(found):
                key, _, _, length = _EVENT.unpack_from(found, at)
                at += _EVENT.size + length
                told.add((key, found[at - length : at].rstrip(b"\0")))
            # Writes in a row are told once by the kernel; here each file is announced once for all that was told.
            wanted = [self._announce(key, os.fsdecode(name) or None) for key, name in told]
            return any(wanted)

        def _checked(self, answer: int) -> int:
            if answer < 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
            return answer

else:

    class _Kernel:
        """One kqueue in the event loop; each file is kept open while it is watched."""

        def __init__(self, announce: Callable[[int, str | None], bool]) -> None:
            self._announce = announce
            self._queue = select.kqueue()
            self._files: dict[tuple[int, int], int] = {}
            asyncio.get_running_loop().add_reader(self._queue.fileno(), self._read)

        def add(self, path: Path) -> int:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            stat = os.fstat(descriptor)
            kept = self._files.setdefault((stat.st_dev, stat.st_ino), descriptor)
            if kept != descriptor:
                os.close(descriptor)
                return kept
            # What is taken away or moved is not written to, nor what becomes a program by its mode.
            notes = select.KQ_NOTE_WRITE | select.KQ_NOTE_ATTRIB | select.KQ_NOTE_DELETE | select.KQ_NOTE_RENAME
            wanted = select.kevent(descriptor, select.KQ_FILTER_VNODE, select.KQ_EV_ADD | select.KQ_EV_CLEAR, notes)
            self._queue.control([wanted], 0)
            return descriptor

        def remove(self, key: int) -> None:
            self._files = {file: descriptor for file, descriptor in self._files.items() if descriptor != key}
            os.close(key)

        def close(self) -> None:
            asyncio.get_running_loop().remove_reader(self._queue.fileno())
            self._queue.close()

        def _read(self) -> None:
            for event in self._queue.control(None, 256, 0):
                self._announce(event.ident, None)
