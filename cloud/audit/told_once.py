"""Telling what may be repeated as often as somebody likes only now and then: a denial must not fill the audit.

In this process's memory: several processes tell it once each. Tests: tests/unit/cloud/audit/test_told_once.py.
"""

import threading
import time
from collections.abc import Callable, Hashable

EVERY_S = 60.0
KEPT = 4096
"""How many are remembered; beyond that all are forgotten, and told again."""


class ToldOnce:
    """Which of a kind were told lately."""

    def __init__(self, *, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is any steady one, in seconds."""
        self._every_s = every_s
        self._clock = clock
        self._told: dict[Hashable, float] = {}
        self._lock = threading.Lock()

    def is_news(self, key: Hashable) -> bool:
        """Whether this is to be told now; from then on, for a while, it is not."""
        now = self._clock()
        with self._lock:
            if now - self._told.get(key, -self._every_s) < self._every_s:
                return False
            if len(self._told) >= KEPT:
                self._told.clear()
            self._told[key] = now
        return True

    def forget(self) -> None:
        """As if nothing had been told: for tests."""
        with self._lock:
            self._told.clear()
