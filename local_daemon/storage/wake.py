"""Who waits for the record to change is woken by the commit itself, never by a timer.

Lives on the event loop's thread; the writer reports commits through `call_soon_threadsafe`. A wake-up is a hint: the
waiter reads the record again. Called by waits, the event stream and the scheduler.
Tests: tests/unit/daemon/storage/test_wake.py.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_ANY = ""


@dataclass(slots=True, eq=False)
class Count:
    """How many commits touched a topic since it is counted."""

    mark: int = 0


class Wake:
    """Commit counter and waiters. Take `mark` before reading the record, wait `after` it."""

    def __init__(self) -> None:
        """Nothing was committed yet."""
        self.mark = 0
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._counts: dict[str, list[Count]] = {}

    async def wait_for_change(self, *, after: int, topic: str | None = None) -> int:
        """Return the counter once something was committed since `after`: at once if so already, otherwise with the
        next commit that touched `topic` (a repository, run or step id; None: any commit)."""
        if self.mark > after:
            return self.mark
        key = _ANY if topic is None else topic
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(key, set()).add(waiter)
        try:
            await waiter
        finally:
            self._forget(key, waiter)
        return self.mark

    @contextmanager
    def counted(self, topic: str) -> Iterator[Count]:
        """Count the commits that touch `topic` from now on, until the block ends."""
        count = Count()
        self._counts.setdefault(topic, []).append(count)
        try:
            yield count
        finally:
            self._counts[topic].remove(count)
            if not self._counts[topic]:
                del self._counts[topic]

    def announce(self, topics: Iterable[str]) -> None:
        """A commit touched these topics; called on the event loop's thread."""
        self.mark += 1
        for topic in (_ANY, *topics):
            for count in self._counts.get(topic, ()):
                count.mark += 1
            for waiter in self._waiters.pop(topic, ()):
                if not waiter.done():
                    waiter.set_result(None)

    def _forget(self, key: str, waiter: asyncio.Future[None]) -> None:
        waiting = self._waiters.get(key)
        if waiting is not None:
            waiting.discard(waiter)
            if not waiting:
                del self._waiters[key]
