"""The SQL that writes gates. Called by `services` only.

Tests: tests/unit/daemon/gates/.
"""

from datetime import datetime

from local_daemon.protocol import errors, ids, states
from local_daemon.storage import instants
from local_daemon.storage.transaction import Transaction

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
