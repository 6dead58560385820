"""Reads of gates, and their view.

Called by operation handlers and the scheduler. Tests: tests/unit/daemon/gates/test_services.py.
"""

from datetime import datetime

from local_daemon.gates.records import Gate
from local_daemon.protocol import errors, messages, states
from local_daemon.storage import instants, pages
from local_daemon.storage.database import Connection, Row

_SELECT = "SELECT * FROM gates "


def gate_get(conn: Connection, gate_id: str, *, repository_id: str) -> Gate:
    """The gate. Raises NotFound, also for a gate of another repository."""
    row = conn.execute(_SELECT + "WHERE gate_id = ? AND repository_id = ?", (gate_id, repository_id)).fetchone()
    if row is None:
        raise errors.NotFound("No such gate in this repository.", gate_id=gate_id)
    return _read(row)


def gates_due(conn: Connection, now: datetime) -> tuple[Gate, ...]:
    """Open gates whose time is over, the longest overdue first."""
    where = "WHERE state = 'open' AND expires_at <= ? ORDER BY expires_at"
    return tuple(_read(row) for row in conn.execute(_SELECT + where, (instants.instant_text(now),)))


def gate_next_expiry(conn: Connection) -> datetime | None:
    """When the next open gate expires; None while none is open."""
    row = conn.execute("SELECT min(expires_at) AS soonest FROM gates WHERE state = 'open'").fetchone()
    return instants.optional_read(row["soonest"])


def is_approved(conn: Connection, step_id: str, *, digest: str) -> bool:
    """Whether exactly these changes of the step were approved."""
    row = conn.execute(
        "SELECT 1 FROM gates WHERE step_id = ? AND kind = 'after' AND state = 'approved' AND digest = ? LIMIT 1",
        (step_id, digest),
    ).fetchone()
    return row is not None


def gates_list(
    conn: Connection, repository_id: str, *, state: states.GateState | None, limit: int, cursor: str | None
) -> tuple[tuple[Gate, ...], str | None]:
    """A page of gates, newest first, and the cursor of the next page. Raises InvalidRequest for a cursor not ours."""
    before = pages.before_position(cursor)
    if state is None:
        where = "WHERE repository_id = ? AND position < ? ORDER BY position DESC LIMIT ?"
        rows = conn.execute(_SELECT + where, (repository_id, before, limit + 1))
    else:
        where = "WHERE repository_id = ? AND state = ? AND position < ? ORDER BY position DESC LIMIT ?"
        rows = conn.execute(_SELECT + where, (repository_id, state, before, limit + 1))
    return pages.page_cut([_read(row) for row in rows], limit=limit)


def gate_view(gate: Gate) -> messages.GateView:
    """The gate as everybody sees it."""
    return messages.GateView(
        gate_id=gate.gate_id,
        run_id=gate.run_id,
        step_id=gate.step_id,
        attempt_id=gate.attempt_id,
        kind=gate.kind,
        state=gate.state,
        reason=gate.reason,
        question=gate.question,
        digest=gate.digest,
        opened_at=gate.opened_at,
        expires_at=gate.expires_at,
        decided_at=gate.decided_at,
        decided_by=gate.decided_by,
        comment=gate.comment,
        answer=gate.answer,
    )


def _read(row: Row) -> Gate:
    return Gate(
        position=row["position"],
        gate_id=row["gate_id"],
        run_id=row["run_id"],
        step_id=row["step_id"],
        repository_id=row["repository_id"],
        attempt_id=row["attempt_id"],
        kind=states.GateKind(row["kind"]),
        state=states.GateState(row["state"]),
        reason=row["reason"],
        question=row["question"],
        digest=row["digest"],
        opened_at=instants.instant_read(row["opened_at"]),
        expires_at=instants.instant_read(row["expires_at"]),
        decided_at=instants.optional_read(row["decided_at"]),
        decided_by=row["decided_by"],
        comment=row["comment"],
        answer=row["answer"],
    )
