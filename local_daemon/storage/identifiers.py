"""Ids of a noun by how they begin, and the newest: for whoever types one by hand.

Deliberately no more than ids: what one names is read through its noun. Called by `operations/identifiers`.
Tests: tests/unit/daemon/operations/test_identifiers.py, tests/unit/daemon/storage/test_queries.py.
"""

from collections.abc import Mapping
from types import MappingProxyType

from local_daemon.protocol.ids import IdPrefix, RepositoryId
from local_daemon.storage.database import Connection

_COLUMNS: Mapping[IdPrefix, tuple[str, str]] = MappingProxyType(
    {
        IdPrefix.RUN: ("runs", "run_id"),
        IdPrefix.STEP: ("steps", "step_id"),
        IdPrefix.GATE: ("gates", "gate_id"),
        IdPrefix.CONVERSATION: ("conversations", "conversation_id"),
        IdPrefix.ARTIFACT: ("artifacts", "artifact_id"),
    }
)
_NOT_ENDED_EMPTY = (
    " AND (state IN ('open', 'running', 'waiting') OR EXISTS (SELECT 1 FROM steps WHERE steps.run_id = runs.run_id))"
)
_AFTER_EVERY_CHARACTER = "~"


def ids_beginning(
    conn: Connection, noun: IdPrefix, repository_id: RepositoryId, *, beginning: str, limit: int
) -> tuple[str, ...]:
    """Up to so many ids of the repository that go on from `<noun>_<beginning>`, newest first."""
    table, column = _COLUMNS[noun]
    first = f"{noun}_{beginning}"
    # The ids' own index answers it: `+` keeps SQLite from the repository's, which holds all there are.
    where = f"{column} >= ? AND {column} < ? AND +repository_id = ?"
    rows = conn.execute(
        f"SELECT {column} AS id FROM {table} WHERE {where} ORDER BY {column} DESC LIMIT ?",  # noqa: S608 -- of the table above
        (first, first + _AFTER_EVERY_CHARACTER, repository_id, limit),
    )
    return tuple(row["id"] for row in rows)


def ids_newest(conn: Connection, noun: IdPrefix, repository_id: RepositoryId, *, limit: int) -> tuple[str, ...]:
    """Up to so many ids of the repository, newest first, without runs that have ended before they held a step."""
    table, column = _COLUMNS[noun]
    held = _NOT_ENDED_EMPTY if noun is IdPrefix.RUN else ""
    rows = conn.execute(
        f"SELECT {column} AS id FROM {table} WHERE repository_id = ?{held} ORDER BY position DESC LIMIT ?",  # noqa: S608 -- of the table above
        (repository_id, limit),
    )
    return tuple(row["id"] for row in rows)
