"""A result can be read at any time and is about the newest attempt."""

from local_daemon.protocol import specs
from local_daemon.protocol.states import FailureKind, GateKind, StepEvent, StepState
from local_daemon.steps import results, services
from tests.record import DIGEST, Record

FAILURE = specs.Failure(kind=FailureKind.TIMEOUT, detail="too long")


def test_before_the_first_attempt_a_result_says_the_state(record: Record) -> None:
    step = record.step(record.run(record.repository()))
    result = results.step_result(record.connection, step)
    assert (result.state, result.attempt_id, result.attempt_number, result.changes) == (StepState.QUEUED, None, 0, ())


def test_a_result_tells_the_newest_attempts_story(record: Record) -> None:
    step = record.step(record.run(record.repository()))
    record.lease(step)
    record.advance(step, StepEvent.RETRY)
    record.advance(step, StepEvent.DUE)
    attempt = record.lease(step)
    record.start(attempt)
    record.advance(step, StepEvent.RELEASED)
    record.pass_time(2.5)
    record.exit(attempt, exit_code=None, signal=9, failure=FAILURE)
    failed = record.advance(step, StepEvent.FAILED, failure=FAILURE)
    result = results.step_result(record.connection, failed)
    assert (result.attempt_id, result.attempt_number, result.failure) == (attempt.attempt_id, 2, FAILURE)
    assert (result.base_commit, result.duration_ms) == ("1" * 40, 2500)


def test_a_step_with_a_question_shows_it(record: Record) -> None:
    step = record.step(record.run(record.repository()))
    record.work(step)
    waiting = record.write(
        lambda tx: services.step_gate(
            tx,
            step_id=step.step_id,
            attempt_id=None,
            kind=GateKind.QUESTION,
            reason="the executor asks",
            digest=DIGEST,
            question="Which one?",
            expires_at=tx.now,
        )
    )
    result = results.step_result(record.connection, waiting)
    assert (result.question, result.gate_id) == ("Which one?", waiting.gate_id)
