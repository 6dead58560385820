"""The SQL of gates. Called by `services` and `selectors` only.

Tests: tests/unit/daemon/gates/.
"""

from datetime import datetime

from local_daemon.gates.records import Gate
from local_daemon.protocol import errors, ids, states
from local_daemon.storage import instants
from local_daemon.storage.database import Connection, Row
from local_daemon.storage.transaction import Transaction

_SELECT = "SELECT * FROM gates "
_INSERT = """
    INSERT INTO gates (
        gate_id, run_id, step_id, repository_id, attempt_id, kind, state, reason, question, digest, opened_at,
        expires_at, comment
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')
"""
_DECIDE = """
    UPDATE gates SET state = ?, decided_at = ?, decided_by = ?, comment = ?, answer = ?
    WHERE gate_id = ? AND state = 'open'
"""


def gate_insert(
    tx: Transaction,
    *,
    gate_id: ids.GateId,
    run_id: ids.RunId,
    step_id: ids.StepId,
    repository_id: ids.RepositoryId,
    attempt_id: ids.AttemptId | None,
    kind: states.GateKind,
    reason: str,
    question: str | None,
    digest: str,
    expires_at: datetime,
) -> None:
    """Add an open gate."""
    tx.execute(
        _INSERT,
        (
            gate_id, run_id, step_id, repository_id, attempt_id, kind, states.GateState.OPEN, reason, question, digest,
            tx.now_text, instants.instant_text(expires_at),
        ),
    )  # fmt: skip


def gate_close(
    tx: Transaction,
    *,
    gate_id: ids.GateId,
    state: states.GateState,
    decided_by: str | None,
    comment: str,
    answer: str | None,
) -> None:
    """Compare-and-set: decides the gate only while it is open. Raises GateDecided."""
    if tx.execute(_DECIDE, (state, tx.now_text, decided_by, comment, answer, gate_id)).rowcount != 1:
        raise errors.GateDecided(gate_id=gate_id)


def gate_by_id(conn: Connection, gate_id: str) -> Gate | None:
    """The gate with this id."""
    row = conn.execute(_SELECT + "WHERE gate_id = ?", (gate_id,)).fetchone()
    return None if row is None else _read(row)


def gates_page(
    conn: Connection, repository_id: str, *, state: states.GateState | None, before: int, limit: int
) -> tuple[Gate, ...]:
    """Up to `limit` gates of the repository opened before position `before`, newest first."""
    if state is None:
        where = "WHERE repository_id = ? AND position < ? ORDER BY position DESC LIMIT ?"
        rows = conn.execute(_SELECT + where, (repository_id, before, limit))
    else:
        where = "WHERE repository_id = ? AND state = ? AND position < ? ORDER BY position DESC LIMIT ?"
        rows = conn.execute(_SELECT + where, (repository_id, state, before, limit))
    return tuple(_read(row) for row in rows)


def is_approved(conn: Connection, step_id: str, *, digest: str) -> bool:
    """Whether a gate after work approved this digest."""
    row = conn.execute(
        "SELECT 1 FROM gates WHERE step_id = ? AND kind = 'after' AND state = 'approved' AND digest = ? LIMIT 1",
        (step_id, digest),
    ).fetchone()
    return row is not None


def gates_due(conn: Connection, now: datetime) -> tuple[Gate, ...]:
    """Open gates whose time is over, the longest overdue first."""
    where = "WHERE state = 'open' AND expires_at <= ? ORDER BY expires_at"
    return tuple(_read(row) for row in conn.execute(_SELECT + where, (instants.instant_text(now),)))


def next_expiry(conn: Connection) -> datetime | None:
    """When the next open gate expires."""
    row = conn.execute("SELECT min(expires_at) AS soonest FROM gates WHERE state = 'open'").fetchone()
    return instants.optional_read(row["soonest"])


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
