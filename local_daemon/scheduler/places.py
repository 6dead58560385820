"""Where an attempt works: in a place of its own, or where the one worked whose thread it goes on with.

Some CLIs find a thread again only under the path in which it began. A place is named after the first attempt that
worked there; only one works in it at a time. Called by `loop`, `clearing` and `recovery`.
Tests: tests/integration/daemon/test_conversations.py, tests/integration/daemon/test_places.py.
"""

import asyncio
from weakref import WeakValueDictionary

from local_daemon.attempts import selectors as attempts
from local_daemon.attempts.records import Attempt
from local_daemon.conversations import selectors as conversations
from local_daemon.scheduler import threads
from local_daemon.steps.records import Step
from local_daemon.storage.database import Connection
from local_daemon.storage.transaction import Transaction


class PlaceLocks:
    """One lock for each place: an attempt holds its own until its worktree is gone or stays for good, so that whoever
    works there next, and who sweeps, comes afterwards."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, place: str) -> asyncio.Lock:
        """The place's lock."""
        return self._locks.setdefault(place, asyncio.Lock())


def place_take(tx: Transaction, *, step: Step, attempt: Attempt) -> dict[str, str]:
    """Put on record that the attempt works where an earlier one did; answers its id and the place, or nothing."""
    earlier_id = _continued(tx.connection, step, attempt)
    if earlier_id is None:
        return {}
    place = place_of(tx.connection, earlier_id)
    tx.execute("INSERT INTO attempt_places (attempt_id, place) VALUES (?, ?)", (attempt.attempt_id, place))
    return {attempt.attempt_id: place}


def places_all(conn: Connection) -> dict[str, str]:
    """Every attempt that worked where an earlier one did, and that place's name."""
    return {row["attempt_id"]: row["place"] for row in conn.execute("SELECT attempt_id, place FROM attempt_places")}


def place_of(conn: Connection, attempt_id: str) -> str:
    """The name of the attempt's place."""
    row = conn.execute("SELECT place FROM attempt_places WHERE attempt_id = ?", (attempt_id,)).fetchone()
    return attempt_id if row is None else str(row["place"])


def worked_last(conn: Connection, place: str, *, before: str | None = None) -> Attempt:
    """The attempt whose executor worked in the place last, before that other one; whoever never started is passed over.
    Where nobody did, the one that the place is named after."""
    rows = conn.execute(
        "SELECT attempt_id FROM attempt_places WHERE place = :place AND (:before IS NULL OR position < "
        "(SELECT position FROM attempt_places WHERE attempt_id = :before)) ORDER BY position DESC",
        {"place": place, "before": before},
    ).fetchall()
    found = (attempts.attempt_get(conn, row["attempt_id"]) for row in rows)
    return next((each for each in found if each.base_commit is not None), None) or attempts.attempt_get(conn, place)


def newest_in(conn: Connection, place: str) -> str:
    """The attempt that worked in the place last."""
    row = conn.execute(
        "SELECT attempt_id FROM attempt_places WHERE place = ? ORDER BY position DESC LIMIT 1", (place,)
    ).fetchone()
    return place if row is None else str(row["attempt_id"])


def _continued(conn: Connection, step: Step, attempt: Attempt) -> str | None:
    asked = threads.asked_find(conn, step=step, attempt=attempt)
    if asked is not None:
        return asked.attempt_id
    turn = conversations.turn_of_step(conn, step.step_id)
    return None if turn is None else turn.continues_attempt_id
