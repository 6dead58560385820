"""How often one address may present an enrollment code that is none: in this process, within a minute.

A code cannot be guessed, it has 120 random bits; this keeps whoever tries from taking the doors' time, and says so.
Deliberately memory only, and no account of those who are right. Called by `enrollment`.
Tests: tests/unit/cloud/rest/test_guesses.py, tests/integration/cloud/rest/test_enrollment.py.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable

from local_daemon.protocol import errors

WRONG_A_MINUTE = 120
_MINUTE_S = 60
_ADDRESSES_MAX = 10_000


class Guesses:
    """Wrong codes by address in the current minute."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is any steady one, in seconds."""
        self._clock = clock
        self._minute = 0
        self._wrong: Counter[str] = Counter()
        self._lock = threading.Lock()

    def require_few(self, address: str) -> None:
        """Raise RateLimited where this address was wrong too often."""
        with self._lock:
            self._turn()
            if self._wrong.get(address, 0) >= WRONG_A_MINUTE:
                left_s = _MINUTE_S - self._clock() % _MINUTE_S
                raise errors.RateLimited("Too many wrong enrollment codes came from there.", retry_after_s=left_s)

    def note_wrong(self, address: str) -> None:
        """A code from this address was none."""
        with self._lock:
            self._turn()
            if address in self._wrong or len(self._wrong) < _ADDRESSES_MAX:
                self._wrong[address] += 1

    def _turn(self) -> None:
        minute = int(self._clock() // _MINUTE_S)
        if minute != self._minute:
            self._minute = minute
            self._wrong.clear()
