"""What the attempts of one run have used, added up in memory: each counts for good once it has ended.

The record is the truth and is read each time, but only what is new in it: a look costs the same in a run of ten
thousand steps as in a run of ten. Deliberately not for what decides in a transaction, which reads everything
(`selectors`). Kept by the scheduler while somebody watches the run. Tests: tests/unit/daemon/usage/test_ledger.py.
"""

from dataclasses import dataclass, field
from datetime import datetime

from local_daemon.storage.database import Connection
from local_daemon.usage import budgets, selectors
from local_daemon.usage.records import Spent, Working


@dataclass(slots=True, kw_only=True, weakref_slot=True, eq=False)
class Ledger:
    """One run's."""

    run_id: str
    _seen: int = 0
    """The newest attempt that was looked at, by its place in the record."""
    _open: list[int] = field(default_factory=list)
    """Those that had not ended then."""
    _settled: Spent = field(default_factory=Spent)
    """What all the others have used."""

    def look(self, conn: Connection, *, now: datetime) -> tuple[Spent, tuple[Working, ...]]:
        """What all attempts of the run have used, as the record is now, and which are at work."""
        new = selectors.attempts_after(conn, self.run_id, self._seen)
        ended = selectors.attempts_ended(conn, [*self._open, *new])
        if ended:
            more = selectors.spent(conn, selectors.among(sorted(ended)), now=now)
            self._settled = budgets.added(self._settled, more)
        self._open = [position for position in (*self._open, *new) if position not in ended]
        self._seen = max([self._seen, *new])
        if not self._open:
            return self._settled, ()
        still_open = selectors.among(self._open)
        spent = budgets.added(self._settled, selectors.spent(conn, still_open, now=now))
        return spent, selectors.working(conn, still_open)
