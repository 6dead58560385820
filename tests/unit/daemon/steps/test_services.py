"""Steps are submitted once, move by their lifecycle, and carry what they came to."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from local_daemon.gates import selectors as gate_selectors
from local_daemon.gates import services as gates
from local_daemon.protocol import errors, events, ids, specs
from local_daemon.protocol.policies import Policy, Reaction
from local_daemon.protocol.states import (
    FailureKind,
    GateDecision,
    GateKind,
    GateState,
    RunState,
    StepEvent,
    StepState,
)
from local_daemon.runs import selectors as run_selectors
from local_daemon.runs import services as runs
from local_daemon.runs.records import Run
from local_daemon.steps import selectors, services
from local_daemon.steps.records import Step
from local_daemon.storage import event_log
from local_daemon.storage.transaction import Transaction
from tests.record import DIGEST, TASK, Record

FAILURE = specs.Failure(kind=FailureKind.EXECUTOR, detail="it broke")
GATED = TASK.model_copy(update={"gates": specs.GateRules(before=True, expires_s=60)})


@pytest.fixture
def run(record: Record) -> Run:
    """An open run."""
    return record.run(record.repository())


def _decide(record: Record, step: Step, decision: GateDecision, answer: str | None = None) -> Step:
    def apply(tx: Transaction) -> Step:
        assert step.gate_id is not None
        gate = gates.gate_decide(
            tx,
            gate_id=step.gate_id,
            repository_id=step.repository_id,
            decision=decision,
            digest=None,
            comment="because",
            answer=answer,
            decided_by="me",
        )
        return services.step_gate_closed(tx, gate=gate)

    return record.write(apply)


def _gate(record: Record, step: Step, kind: GateKind) -> Step:
    def apply(tx: Transaction) -> Step:
        return services.step_gate(
            tx,
            step_id=step.step_id,
            attempt_id=None,
            kind=kind,
            reason="look",
            digest=DIGEST,
            question="which?" if kind is GateKind.QUESTION else None,
            expires_at=tx.now + timedelta(seconds=60),
        )

    return record.write(apply)


def test_a_step_keeps_its_task_and_the_call_that_submitted_it(record: Record, run: Run) -> None:
    call_id = ids.CallId(ids.new_id(ids.IdPrefix.CALL))
    step, created = record.write(
        lambda tx: services.step_submit(
            tx, run_id=run.run_id, repository_id=run.repository_id, task=TASK, name="first"
        ),
        call_id=call_id,
    )
    assert created
    assert (step.state, step.call_id, step.task_digest) == (StepState.QUEUED, call_id, TASK.digest())
    assert selectors.step_task(record.connection, step.step_id) == TASK
    newest = event_log.events_after(record.connection, run.repository_id, 0, 100)[-1]
    assert (newest.type, newest.call_id) == (events.EventType.STEP_CREATED, call_id)


def test_a_name_is_a_natural_key_within_its_run(record: Record, run: Run) -> None:
    first = record.step(run, name="one")
    assert record.step(run, name="one") == first
    assert record.step(record.run(record.repository()), name="one") != first


@pytest.mark.parametrize(
    ("task", "title"),
    [
        ({"goal": "g", "title": "A title"}, "A title"),
        ({"goal": "\n  Say hello.\nThen leave."}, "Say hello."),
        ({"goal": "a\tb"}, "a b"),
        ({"goal": "x" * 500}, "x" * 200),
        ({"goal": "\n"}, "untitled"),
    ],
)
def test_a_step_is_called_by_its_title_or_the_first_line_of_its_goal(task: dict[str, str], title: str) -> None:
    assert services.step_title(specs.TaskSpec.model_validate({"executor": "fake", **task})) == title


def test_a_failed_step_carries_its_failure_and_end(record: Record, run: Run) -> None:
    step = record.step(run)
    failed = record.advance(step, StepEvent.FAILED, failure=FAILURE, warnings=["w"], summary="s")
    assert (failed.failure, failed.warnings, failed.summary, failed.ended_at) == (FAILURE, ("w",), "s", record.now)
    assert failed == record.step_now(step)


def test_what_a_step_learned_on_the_way_stays_with_it(record: Record, run: Run) -> None:
    step = record.step(run)
    record.work(step, until=StepState.COLLECTING)
    record.advance(step, StepEvent.COLLECTED, patch_sha256=DIGEST)
    done = record.advance(step, StepEvent.SUCCEEDED, evidence_digest=DIGEST)
    assert (done.patch_sha256, done.evidence_digest, done.attempts) == (DIGEST, DIGEST, 1)


def test_a_step_that_asks_for_approval_first_waits_from_the_start_and_is_asked_once(record: Record, run: Run) -> None:
    step = record.step(run, GATED)
    assert (step.state, step.resume_to) == (StepState.WAITING, StepState.QUEUED)
    assert selectors.steps_leasable(record.connection, repository_most=10, executors_full=()) == ()
    gate = gate_selectors.gate_get(record.connection, str(step.gate_id), repository_id=step.repository_id)
    assert (gate.kind, gate.digest) == (GateKind.BEFORE, GATED.digest())
    approved = _decide(record, step, GateDecision.APPROVE)
    assert (approved.state, approved.gate_id, approved.is_before_gate_passed) == (StepState.QUEUED, None, True)
    record.advance(step, StepEvent.FAILED, failure=FAILURE)
    again = record.write(lambda tx: services.step_retry(tx, step_id=step.step_id))
    assert again.state is StepState.QUEUED


def _rejected(record: Record, step: Step) -> None:
    _decide(record, step, GateDecision.REJECT)


def _expired(record: Record, step: Step) -> None:
    record.now = gate_selectors.gate_next_expiry(record.connection) or record.now
    (gate,) = record.write(gates.gates_expire_due)
    record.write(lambda tx: services.step_gate_closed(tx, gate=gate))


def _cancelled(record: Record, step: Step) -> None:
    record.write(lambda tx: services.step_cancel_request(tx, step_id=step.step_id, reason="enough"))


@pytest.mark.parametrize("end", [_rejected, _expired, _cancelled])
@pytest.mark.parametrize("is_asked_by_policy", [False, True])
def test_a_retry_passes_no_gate_that_nobody_approved(
    record: Record, run: Run, end: Callable[[Record, Step], None], is_asked_by_policy: bool
) -> None:
    task, policies = (TASK, (Policy(start=Reaction.GATE),)) if is_asked_by_policy else (GATED, ())
    step, _ = record.write(
        lambda tx: runs.run_step_submit(tx, run_id=run.run_id, task=task, name=None, policies=policies)
    )
    for _ in range(2):
        end(record, record.step_now(step))
        again = record.write(lambda tx: services.step_retry(tx, step_id=step.step_id))
        gate = gate_selectors.gate_get(record.connection, str(again.gate_id), repository_id=step.repository_id)
        assert (again.state, gate.state, gate.kind) == (StepState.WAITING, GateState.OPEN, GateKind.BEFORE)
    assert _decide(record, again, GateDecision.APPROVE).state is StepState.QUEUED
    _cancelled(record, step)
    assert record.write(lambda tx: services.step_retry(tx, step_id=step.step_id)).state is StepState.QUEUED


def test_approving_finished_changes_completes_the_step(record: Record, run: Run) -> None:
    step = record.step(run)
    record.work(step)
    waiting = _gate(record, step, GateKind.AFTER)
    assert _decide(record, waiting, GateDecision.APPROVE).state is StepState.COMPLETED


def test_an_answer_is_handed_to_the_next_attempt(record: Record, run: Run) -> None:
    step = record.step(run)
    record.work(step)
    waiting = _gate(record, step, GateKind.QUESTION)
    answered = _decide(record, waiting, GateDecision.ANSWER, answer="the left one")
    assert (answered.state, answered.answer) == (StepState.QUEUED, "the left one")


def test_a_rejected_step_has_failed_as_rejected_with_the_reason_given(record: Record, run: Run) -> None:
    rejected = _decide(record, record.step(run, GATED), GateDecision.REJECT)
    assert rejected.failure == specs.Failure(kind=FailureKind.REJECTED, detail="because")


def test_a_step_whose_gate_nobody_decided_has_failed_as_rejected(record: Record, run: Run) -> None:
    record.step(run, GATED)
    record.pass_time(61)
    (expired,) = record.write(gates.gates_expire_due)
    failed = record.write(lambda tx: services.step_gate_closed(tx, gate=expired))
    assert failed.failure is not None
    assert (failed.state, failed.failure.kind) == (StepState.FAILED, FailureKind.REJECTED)


def test_cancelling_a_waiting_step_ends_it_and_withdraws_its_gate(record: Record, run: Run) -> None:
    step = record.step(run, GATED)
    cancelled = record.write(lambda tx: services.step_cancel_request(tx, step_id=step.step_id, reason="enough"))
    gate = gate_selectors.gate_get(record.connection, str(step.gate_id), repository_id=step.repository_id)
    assert (cancelled.state, cancelled.cancel_reason, gate.state) == (
        StepState.CANCELLED, "enough", GateState.EXPIRED,
    )  # fmt: skip


def test_cancelling_a_step_at_work_is_recorded_and_left_to_the_scheduler(record: Record, run: Run) -> None:
    step = record.step(run)
    record.work(step, until=StepState.RUNNING)
    asked = record.write(lambda tx: services.step_cancel_request(tx, step_id=step.step_id, reason="enough"))
    again = record.write(lambda tx: services.step_cancel_request(tx, step_id=step.step_id, reason="other"))
    assert (asked.state, asked.cancel_requested_at) == (StepState.RUNNING, record.now)
    assert again == asked


def test_a_step_that_was_asked_to_end_does_not_wait_for_a_decision(record: Record, run: Run) -> None:
    step = record.step(run)
    record.work(step)
    record.write(lambda tx: services.step_cancel_request(tx, step_id=step.step_id, reason="enough"))
    ended = _gate(record, step, GateKind.AFTER)
    assert (ended.state, ended.gate_id, ended.cancel_reason) == (StepState.CANCELLED, None, "enough")
    (gate,), _ = gate_selectors.gates_list(record.connection, step.repository_id, state=None, limit=9, cursor=None)
    assert gate.state is GateState.EXPIRED


def test_cancelling_what_has_ended_is_refused_and_asking_twice_is_not(record: Record, run: Run) -> None:
    failed, cancelled = record.step(run), record.step(run)
    record.advance(failed, StepEvent.FAILED, failure=FAILURE)
    with pytest.raises(errors.InvalidTransition):
        record.write(lambda tx: services.step_cancel_request(tx, step_id=failed.step_id, reason=""))
    once = record.write(lambda tx: services.step_cancel_request(tx, step_id=cancelled.step_id, reason=""))
    assert record.write(lambda tx: services.step_cancel_request(tx, step_id=cancelled.step_id, reason="")) == once


def test_a_retry_begins_afresh_and_keeps_the_attempts(record: Record, run: Run) -> None:
    step = record.step(run)
    record.work(step)
    record.advance(step, StepEvent.FAILED, failure=FAILURE, summary="s", warnings=["w"], evidence_digest=DIGEST)
    again = record.write(lambda tx: services.step_retry(tx, step_id=step.step_id))
    assert (again.state, again.failure, again.summary, again.warnings, again.evidence_digest, again.ended_at) == (
        StepState.QUEUED, None, "", (), None, None,
    )  # fmt: skip
    assert again.attempts == 1


def test_only_what_did_not_succeed_is_retried(record: Record, run: Run) -> None:
    step = record.step(run)
    with pytest.raises(errors.InvalidTransition):
        record.write(lambda tx: services.step_retry(tx, step_id=step.step_id))


@pytest.mark.parametrize(
    ("resolution", "state"),
    [("failed", StepState.FAILED), ("retry", StepState.QUEUED), ("accept", StepState.COMPLETED)],
)
def test_a_person_resolves_what_the_record_cannot_tell(
    record: Record, run: Run, resolution: str, state: StepState
) -> None:
    step = record.step(run)
    record.work(step, until=StepState.RUNNING)
    record.advance(step, StepEvent.LOST)
    resolved = record.write(
        lambda tx: services.step_resolve(tx, step_id=step.step_id, resolution=resolution, comment="seen")  # type: ignore[arg-type]
    )
    assert resolved.state is state
    assert any("seen" in warning for warning in resolved.warnings) == (resolution != "retry")


def test_a_step_that_is_clear_needs_no_resolution(record: Record, run: Run) -> None:
    step = record.step(run)
    with pytest.raises(errors.InvalidTransition):
        record.write(lambda tx: services.step_resolve(tx, step_id=step.step_id, resolution="accept", comment=""))


def test_a_retry_wait_is_due_at_its_time(record: Record, run: Run) -> None:
    step = record.step(run)
    record.work(step)
    due = record.now + timedelta(seconds=30)
    record.advance(step, StepEvent.RETRY, failure=FAILURE, retry_at=due)
    assert selectors.step_next_retry(record.connection) == due
    assert selectors.steps_retry_due(record.connection, record.now) == ()
    assert [found.step_id for found in selectors.steps_retry_due(record.connection, due)] == [step.step_id]
    assert record.advance(step, StepEvent.DUE).retry_at is None
    assert selectors.step_next_retry(record.connection) is None


def test_the_queue_is_oldest_first_and_bounded(record: Record, run: Run) -> None:
    steps = [record.step(run) for _ in range(5)]
    record.lease(steps[0])
    queued = selectors.steps_leasable(record.connection, repository_most=3, executors_full=())
    assert [step.step_id for step in queued] == [step.step_id for step in steps[1:4]]
    assert selectors.steps_at_work(record.connection) == (steps[0].step_id,)
    assert selectors.steps_at_work(record.connection, repository_id=run.repository_id) == (steps[0].step_id,)
    assert selectors.steps_at_work(record.connection, repository_id="another") == ()


def test_a_long_queue_of_one_repository_hides_no_other(record: Record, run: Run) -> None:
    for _ in range(300):
        record.step(run)
    other = record.step(record.run(record.repository("/another")))
    leasable = selectors.steps_leasable(record.connection, repository_most=4, executors_full=())
    assert len(leasable) == 5
    assert leasable[-1].step_id == other.step_id


def test_steps_of_a_busy_executor_hide_no_others(record: Record, run: Run) -> None:
    for _ in range(10):
        busy = record.step(run)
    free = record.step(run, TASK.model_copy(update={"executor": "another"}))
    leasable = selectors.steps_leasable(record.connection, repository_most=4, executors_full=(busy.executor,))
    assert [step.step_id for step in leasable] == [free.step_id]


def test_a_step_that_was_tried_again_and_succeeded_carries_no_failure(record: Record, run: Run) -> None:
    step = record.step(run)
    record.work(step)
    record.advance(step, StepEvent.RETRY, failure=FAILURE)
    record.advance(step, StepEvent.DUE)
    record.work(step)
    assert record.advance(step, StepEvent.SUCCEEDED).failure is None


def test_steps_are_listed_oldest_first_in_pages(record: Record, run: Run) -> None:
    steps = [record.step(run) for _ in range(5)]
    first, cursor = selectors.steps_list(record.connection, run.run_id, limit=3, cursor=None)
    rest, end = selectors.steps_list(record.connection, run.run_id, limit=3, cursor=cursor)
    assert [step.step_id for step in (*first, *rest)] == [step.step_id for step in steps]
    assert end is None


def test_a_step_of_another_repository_is_not_found(record: Record, run: Run) -> None:
    step = record.step(run)
    other = record.repository("/other")
    with pytest.raises(errors.NotFound):
        selectors.step_get(record.connection, step.step_id, repository_id=other.repository_id)


def test_a_run_follows_its_steps(record: Record, run: Run) -> None:
    step = record.step(run)
    assert run_selectors.run_load(record.connection, run.run_id).state is RunState.RUNNING
    record.advance(step, StepEvent.FAILED, failure=FAILURE)
    assert run_selectors.run_load(record.connection, run.run_id).state is RunState.OPEN
