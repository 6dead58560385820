"""Writes of gates: open, decide, expire, withdraw. Each is one change and its event, in the caller's transaction.

What a decision means for the step is applied by `steps.services.step_gate_closed` in the same transaction; gates know
nothing of steps. Called by steps, operation handlers and the scheduler.
Tests: tests/unit/daemon/gates/test_services.py.
"""

from datetime import datetime

from local_daemon.gates import lifecycle, selectors, store
from local_daemon.gates.records import Gate
from local_daemon.protocol import errors, events, ids
from local_daemon.protocol.states import GateDecision, GateEvent, GateKind
from local_daemon.storage import event_log, texts
from local_daemon.storage.transaction import Transaction


def gate_open(
    tx: Transaction,
    *,
    repository_id: ids.RepositoryId,
    run_id: ids.RunId,
    step_id: ids.StepId,
    attempt_id: ids.AttemptId | None,
    kind: GateKind,
    reason: str,
    digest: str,
    question: str | None,
    expires_at: datetime,
) -> Gate:
    """Ask for a decision. A step has at most one open gate: the record refuses a second."""
    gate_id = ids.GateId(ids.new_id(ids.IdPrefix.GATE))
    store.gate_insert(
        tx,
        gate_id=gate_id,
        run_id=run_id,
        step_id=step_id,
        repository_id=repository_id,
        attempt_id=attempt_id,
        kind=kind,
        reason=texts.text_cut(reason),
        question=None if question is None else texts.text_cut(question),
        digest=digest,
        expires_at=expires_at,
    )
    return _tell(tx, gate_id, repository_id, events.EventType.GATE_OPENED)


def gate_decide(
    tx: Transaction,
    *,
    gate_id: ids.GateId,
    repository_id: ids.RepositoryId,
    decision: GateDecision,
    digest: str | None,
    comment: str,
    answer: str | None,
    decided_by: str,
) -> Gate:
    """Decide the gate. Raises NotFound, GateDecided, Expired, StaleApproval if `digest` is not what the gate holds,
    InvalidRequest for a decision that does not fit its kind."""
    gate = selectors.gate_get(tx.connection, gate_id, repository_id=repository_id)
    state = lifecycle.next_state(gate.state, lifecycle.EVENT_BY_DECISION[decision])
    if decision not in lifecycle.DECISIONS_BY_KIND[gate.kind]:
        fitting = " or ".join(sorted(lifecycle.DECISIONS_BY_KIND[gate.kind]))
        raise errors.InvalidRequest(f"decision: a gate of kind {gate.kind} takes {fitting}")
    if gate.expires_at <= tx.now:
        raise errors.Expired("Nobody decided this gate in time.", gate_id=gate_id)
    if digest is not None and digest != gate.digest:
        raise errors.StaleApproval(gate_id=gate_id, digest=gate.digest)
    store.gate_close(tx, gate_id=gate_id, state=state, decided_by=decided_by, comment=comment, answer=answer)
    return _tell(tx, gate_id, repository_id, events.EventType.GATE_DECIDED)


def gates_expire_due(tx: Transaction) -> tuple[Gate, ...]:
    """Close every gate whose time is over by the transaction's clock; the caller fails their steps."""
    return tuple(
        _expire(tx, gate, comment="nobody decided in time") for gate in selectors.gates_due(tx.connection, tx.now)
    )


def gate_withdraw(tx: Transaction, *, gate_id: ids.GateId, repository_id: ids.RepositoryId, comment: str) -> Gate:
    """Close a gate that has nothing left to decide on."""
    return _expire(tx, selectors.gate_get(tx.connection, gate_id, repository_id=repository_id), comment=comment)


def _expire(tx: Transaction, gate: Gate, *, comment: str) -> Gate:
    state = lifecycle.next_state(gate.state, GateEvent.EXPIRE)
    store.gate_close(tx, gate_id=gate.gate_id, state=state, decided_by=None, comment=comment, answer=None)
    return _tell(tx, gate.gate_id, gate.repository_id, events.EventType.GATE_DECIDED)


def _tell(tx: Transaction, gate_id: ids.GateId, repository_id: ids.RepositoryId, event_type: events.EventType) -> Gate:
    gate = selectors.gate_get(tx.connection, gate_id, repository_id=repository_id)
    event_log.event_append(
        tx,
        repository_id=repository_id,
        event_type=event_type,
        run_id=gate.run_id,
        step_id=gate.step_id,
        data={"gate": selectors.gate_view(gate).model_dump(mode="json")},
    )
    return gate
