"""One item of work on the record: what services write through.

Deliberately thin: a connection inside an open savepoint, the item's one instant, the call it serves, and the topics to
wake once it is committed. Made by `database`, handed to services. Tests: tests/unit/daemon/storage/test_database.py.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from local_daemon.protocol import ids
from local_daemon.storage import instants

Value = str | int | float | bytes | None
Parameters = Sequence[Value] | Mapping[str, Value]


@dataclass(slots=True, kw_only=True)
class Transaction:
    """An open piece of a transaction. `now` is aware UTC and the same for everything the item writes; `actor` is who
    asked for it, None where the daemon does it by itself."""

    connection: sqlite3.Connection
    now: datetime
    call_id: ids.CallId | None = None
    actor: str | None = None
    touched: set[str] = field(default_factory=set)

    @property
    def now_text(self) -> str:
        """`now` as the record stores it."""
        return instants.instant_text(self.now)

    def execute(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self.connection.execute(sql, parameters)

    def touch(self, *topics: str | None) -> None:
        """Wake who waits on these ids once this is committed."""
        self.touched.update(topic for topic in topics if topic is not None)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What raises inside leaves no trace; the rest of the transaction goes on."""
        self.connection.execute("SAVEPOINT inner_step")
        try:
            yield
        except BaseException:
            # A full disk may have ended the whole transaction, and the savepoint with it.
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK TO inner_step")
                self.connection.execute("RELEASE inner_step")
            raise
        self.connection.execute("RELEASE inner_step")
