"""A gate is decided once, in time, by a decision that fits, on what was shown."""

import sqlite3
from datetime import timedelta

import pytest

from local_daemon.gates import selectors, services
from local_daemon.gates.records import Gate
from local_daemon.protocol import errors
from local_daemon.protocol.states import GateDecision, GateKind, GateState
from local_daemon.steps.records import Step
from local_daemon.storage.transaction import Transaction
from tests.record import DIGEST, Record


@pytest.fixture
def step(record: Record) -> Step:
    """A step to ask about."""
    return record.step(record.run(record.repository()))


def _open(record: Record, step: Step, kind: GateKind = GateKind.AFTER, expires_s: int = 60) -> Gate:
    return record.write(
        lambda tx: services.gate_open(
            tx,
            repository_id=step.repository_id,
            run_id=step.run_id,
            step_id=step.step_id,
            attempt_id=None,
            kind=kind,
            reason="look",
            digest=DIGEST,
            question=None,
            expires_at=tx.now + timedelta(seconds=expires_s),
        )
    )


def _decide(
    record: Record, gate: Gate, decision: GateDecision = GateDecision.APPROVE, digest: str | None = DIGEST
) -> Gate:
    def apply(tx: Transaction) -> Gate:
        return services.gate_decide(
            tx,
            gate_id=gate.gate_id,
            repository_id=gate.repository_id,
            decision=decision,
            digest=digest,
            comment="fine",
            answer=None,
            decided_by="me",
        )

    return record.write(apply)


def test_an_approval_of_what_was_shown_is_recorded_with_who_and_why(record: Record, step: Step) -> None:
    gate = _decide(record, _open(record, step))
    assert (gate.state, gate.decided_by, gate.comment, gate.decided_at) == (
        GateState.APPROVED, "me", "fine", record.now,
    )  # fmt: skip


def test_an_approval_of_something_else_is_stale_and_tells_what_the_gate_holds(record: Record, step: Step) -> None:
    gate = _open(record, step)
    with pytest.raises(errors.StaleApproval) as stale:
        _decide(record, gate, digest="b" * 64)
    assert stale.value.attributes["digest"] == DIGEST
    assert selectors.gate_get(record.connection, gate.gate_id, repository_id=gate.repository_id) == gate


def test_a_decided_gate_stays_decided(record: Record, step: Step) -> None:
    gate = _open(record, step)
    _decide(record, gate, GateDecision.REJECT)
    with pytest.raises(errors.GateDecided):
        _decide(record, gate)


def test_work_is_not_answered_and_a_question_not_approved(record: Record, step: Step) -> None:
    with pytest.raises(errors.InvalidRequest, match="takes approve or reject"):
        _decide(record, _open(record, step), GateDecision.ANSWER)
    other = record.step(record.run(record.repository()))
    with pytest.raises(errors.InvalidRequest, match="takes answer or reject"):
        _decide(record, _open(record, other, GateKind.QUESTION))


def test_nobody_decides_after_the_time_is_over(record: Record, step: Step) -> None:
    gate = _open(record, step)
    assert selectors.gate_next_expiry(record.connection) == gate.expires_at
    record.pass_time(60)
    with pytest.raises(errors.Expired):
        _decide(record, gate)
    expired = record.write(services.gates_expire_due)
    assert [(found.gate_id, found.state, found.decided_by) for found in expired] == [
        (gate.gate_id, GateState.EXPIRED, None)
    ]
    assert record.write(services.gates_expire_due) == ()
    assert selectors.gate_next_expiry(record.connection) is None


def test_a_gate_of_another_repository_is_not_found(record: Record, step: Step) -> None:
    gate = _open(record, step)
    other = record.repository("/other")
    with pytest.raises(errors.NotFound):
        selectors.gate_get(record.connection, gate.gate_id, repository_id=other.repository_id)


def test_a_step_has_one_open_gate_at_most(record: Record, step: Step) -> None:
    _open(record, step)
    with pytest.raises(sqlite3.IntegrityError):
        _open(record, step)


def test_gates_are_listed_newest_first_in_pages_and_by_state(record: Record, step: Step) -> None:
    gates = [_open(record, record.step(record.run(record.repository()))) for _ in range(5)]
    _decide(record, gates[4])
    conn, repository_id = record.connection, step.repository_id
    first, cursor = selectors.gates_list(conn, repository_id, state=None, limit=3, cursor=None)
    rest, end = selectors.gates_list(conn, repository_id, state=None, limit=3, cursor=cursor)
    assert [gate.gate_id for gate in (*first, *rest)] == [gate.gate_id for gate in reversed(gates)]
    assert end is None
    opened, _ = selectors.gates_list(conn, repository_id, state=GateState.OPEN, limit=10, cursor=None)
    assert len(opened) == 4
