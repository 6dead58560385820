"""What the attempts at work have told of their usage so far, kept in memory until the record has all of it; and what
the record has of the runs that somebody watches.

Holds numbers and tells of new ones; nothing else. Written by `metering`, read by `spending` and `loop`.
Tests: tests/integration/daemon/test_budgets.py.
"""

from collections.abc import Mapping
from weakref import WeakValueDictionary

from local_daemon.processes import growth
from local_daemon.protocol import ids
from local_daemon.usage.ledger import Ledger
from local_daemon.usage.records import Spent


class Meters:
    """One reading for each attempt that is watched. An attempt that ends is forgotten once it is on record."""

    def __init__(self) -> None:
        """Nobody is at work yet."""
        self.news = growth.Growing()
        self._told: dict[ids.AttemptId, Spent] = {}
        self._ledgers: WeakValueDictionary[ids.RunId, Ledger] = WeakValueDictionary()

    def tell(self, attempt_id: ids.AttemptId, spent: Spent) -> None:
        """So much by now; who waits for `news` hears of it where it is new."""
        if self._told.get(attempt_id) != spent:
            self._told[attempt_id] = spent
            self.news.announce()

    def forget(self, attempt_id: ids.AttemptId) -> None:
        """It is over."""
        if self._told.pop(attempt_id, None) is not None:
            self.news.announce()

    def told(self) -> Mapping[ids.AttemptId, Spent]:
        """All of them, as they are now."""
        return dict(self._told)

    def ledger(self, run_id: ids.RunId) -> Ledger:
        """The run's, the same for everybody who watches it now."""
        return self._ledgers.setdefault(run_id, Ledger(run_id=run_id))
