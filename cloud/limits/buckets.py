"""A serving process's share of a token bucket: calls are counted here, and leased from the database in chunks.

Pure: the clock and the lease are handed in. Over any time a subject makes at most what its bucket grants, however many
processes serve it, because nothing is used that was not leased; a lease not used within LEASE_S is lost. Why: ADR 0010.
Called by `standings`. Tests: tests/unit/cloud/limits/test_buckets.py.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

CHUNK_S = 1.0
"""A lease is for about so long at the subject's full rate."""
LEASE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What the database's bucket gave, and what is left in it."""

    granted: float
    level: float


class LeasedBucket:
    """One subject's calls in this process. Threads may share it."""

    def __init__(self, *, rate_per_s: float, burst: int, lease: Callable[[int], Lease]) -> None:
        """`lease` takes up to so many calls from the bucket in the database, and blocks for its round trip."""
        self.rate_per_s = rate_per_s
        self.burst = burst
        self.chunk = max(1, min(math.ceil(rate_per_s * CHUNK_S), burst // 4))
        self._lease = lease
        self._left = 0.0
        self._expires_at = -math.inf
        self._counting = threading.Lock()
        self._leasing = threading.Lock()

    def take(self, now: float) -> float:
        """Count one call: 0.0, or how many seconds to wait before it may be made. `now` is monotonic."""
        if self._take_leased(now):
            return 0.0
        with self._leasing:
            # Another thread may have leased while this one waited.
            if self._take_leased(now):
                return 0.0
            lease = self._renew(now)
            if self._take_leased(now):
                return 0.0
        return max(0.05, (1.0 - lease.level) / self.rate_per_s)

    def give_back(self) -> None:
        """A call that was counted is not made after all."""
        with self._counting:
            self._left += 1

    def is_low(self, now: float) -> bool:
        """Whether the next lease should be taken now, so that no call waits for it; never while one is taken.

        Calls that come one by one are leased one by one: what is leased ahead and not used is lost."""
        is_used_up = self._left <= self.chunk / 2 or now >= self._expires_at
        return self.chunk > 1 and is_used_up and not self._leasing.locked()

    def renew(self, now: float) -> None:
        """Lease ahead, unless somebody does."""
        if self._leasing.acquire(blocking=False):
            try:
                self._renew(now)
            finally:
                self._leasing.release()

    def _renew(self, now: float) -> Lease:
        lease = self._lease(self.chunk)
        with self._counting:
            self._left = lease.granted + (self._left if now < self._expires_at else 0.0)
            self._expires_at = now + LEASE_S
        return lease

    def _take_leased(self, now: float) -> bool:
        with self._counting:
            if now >= self._expires_at or self._left < 1:
                return False
            self._left -= 1
            return True
