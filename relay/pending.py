"""Which calls somebody in this process waits for.

A waiter is registered before its call can possibly be answered, so no answer is missed. Deliberately unaware of links:
an answer may come over any of them, or from another process. Called by `router` and `links`.
Tests: tests/unit/relay/test_pending.py.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from relay.calls import Answer


class PendingCalls:
    """Futures by call id; several callers may wait for one call."""

    def __init__(self) -> None:
        self._waiters: dict[str, list[asyncio.Future[Answer]]] = {}

    @contextmanager
    def expect(self, call_id: str) -> Iterator[asyncio.Future[Answer]]:
        """Wait inside for this call's answer; it is not waited for any more afterwards."""
        waiter: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(call_id, [])
        waiters.append(waiter)
        try:
            yield waiter
        finally:
            waiters.remove(waiter)
            if not waiters:
                self._waiters.pop(call_id, None)

    def is_awaited(self, call_id: str) -> bool:
        """Whether somebody here waits for it."""
        return call_id in self._waiters

    def awaited(self) -> list[str]:
        """Every call somebody here waits for."""
        return list(self._waiters)

    def resolve(self, call_id: str, answer: Answer) -> bool:
        """Hand an answer to whoever waits here; False if nobody does."""
        waiters = [waiter for waiter in self._waiters.get(call_id, ()) if not waiter.done()]
        for waiter in waiters:
            waiter.set_result(answer)
        return bool(waiters)
