"""Whether the record is where its event log says: nothing stands in a table that the log does not tell, nor otherwise.

A chain holds as well when its end was cut off and its head moved back; what the tables say then lacks its events. Knows
the tables by their columns, as one who checks from outside. Reads only. Called by `verification`.
Tests: tests/unit/daemon/evidence/test_agreement.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from local_daemon.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What events tell of a noun again and again: its id, and one column that says where it stands."""

    noun: str
    column: str
    created: str
    changed: str

    @property
    def table(self) -> str:
        return f"{self.noun}s"

    @property
    def id_name(self) -> str:
        return f"{self.noun}_id"


_ALL = (
    _Told(noun="run", column="state", created="run.created", changed="run.changed"),
    _Told(noun="step", column="state", created="step.created", changed="step.changed"),
    _Told(noun="attempt", column="state", created="attempt.changed", changed="attempt.changed"),
    _Told(noun="gate", column="state", created="gate.opened", changed="gate.decided"),
    _Told(noun="artifact", column="sha256", created="artifact.recorded", changed="artifact.recorded"),
)


def disagreements(conn: Connection) -> Iterator[str]:
    """What the log and the record do not tell alike, a sentence each. Takes logs whose chains hold."""
    for told in _ALL:
        for row in conn.execute(_sql(told), (f"$.{told.noun}.{told.id_name}", f"$.{told.noun}.{told.column}")):
            yield _sentence(told, *row)


def log_passed(conn: Connection, log_id: str, *, seq: int, digest: str) -> bool:
    """Whether the log has this very event at that place, and so, where its chain holds, all that was before it."""
    row = conn.execute("SELECT hash FROM events WHERE log_id = ? AND seq = ?", (log_id, seq)).fetchone()
    return row is not None and row["hash"] == digest


def _sql(told: _Told) -> str:
    # SQLite takes the other columns from the very row that has the maximum. The names come from the table above.
    return f"""
        WITH told AS MATERIALIZED (
            SELECT json_extract(data, ?) AS id, json_extract(data, ?) AS value, max(seq) AS seq FROM events
            WHERE type IN ('{told.created}', '{told.changed}') GROUP BY 1
        )
        SELECT kept.{told.id_name}, kept.{told.column}, told.value
        FROM {told.table} AS kept LEFT JOIN told ON told.id = kept.{told.id_name}
        WHERE told.value IS NOT kept.{told.column}
        UNION ALL
        SELECT told.id, NULL, told.value
        FROM told LEFT JOIN {told.table} AS kept ON kept.{told.id_name} = told.id WHERE kept.{told.id_name} IS NULL
    """  # noqa: S608


def _sentence(told: _Told, id: str, kept: str | None, said: str | None) -> str:
    if said is None:
        return f"{told.noun} {id}: the log does not tell it, so its end may be missing"
    if kept is None:
        return f"{told.noun} {id}: the log tells it, and it is not on record"
    if told.column == "state":
        return f"{told.noun} {id}: it is {kept}, and the log last says {said}; its end may be missing"
    return f"{told.noun} {id}: its {told.column} is not the one that the log tells"
