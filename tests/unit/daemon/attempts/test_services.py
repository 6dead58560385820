"""An attempt goes forward, is recorded whole, and never starts twice."""

import pytest

from local_daemon.attempts import selectors, services
from local_daemon.attempts.records import Attempt
from local_daemon.protocol import errors, ids, specs
from local_daemon.protocol.states import AttemptState, FailureKind, StepEvent
from local_daemon.runs import selectors as runs
from local_daemon.steps.records import Step
from tests.record import DIGEST, Record

FAILURE = specs.Failure(kind=FailureKind.INTERRUPTED, detail="gone")


@pytest.fixture
def step(record: Record) -> Step:
    """A queued step."""
    return record.step(record.run(record.repository()))


def _record(record: Record, attempt: Attempt, changes: int = 1) -> Attempt:
    return record.collect(
        attempt,
        patch_sha256=DIGEST,
        changes=[specs.ChangedFile(path=f"f{index}", status="A", additions=1, deletions=0) for index in range(changes)],
        summary="done",
        usage=specs.Usage(input_tokens=3, model="m"),
        thread_id="thread",
        warnings=["careful"],
    )


def test_an_attempt_is_recorded_from_lease_to_end(record: Record, step: Step) -> None:
    leased = record.lease(step)
    assert (leased.state, leased.number, leased.leased_at) == (AttemptState.LEASED, 1, record.now)
    record.pass_time(1)
    started = record.start(leased)
    assert (started.state, started.pid, started.started_at) == (AttemptState.RUNNING, 42, record.now)
    record.pass_time(1)
    assert record.exit(leased).exited_at == record.now
    recorded = _record(record, leased)
    assert recorded == selectors.attempt_get(record.connection, leased.attempt_id)
    assert (recorded.state, recorded.summary, recorded.usage.input_tokens) == (AttemptState.RECORDED, "done", 3)


def test_an_attempt_starts_only_once(record: Record, step: Step) -> None:
    attempt = record.lease(step)
    record.start(attempt)
    with pytest.raises(errors.InvalidTransition):
        record.start(attempt)


def test_a_finished_attempt_is_never_touched_again(record: Record, step: Step) -> None:
    attempt = record.lease(step)
    record.write(lambda tx: services.attempt_abandoned(tx, attempt_id=attempt.attempt_id, epoch=1, failure=FAILURE))
    with pytest.raises(errors.InvalidTransition):
        record.exit(attempt)
    assert selectors.attempt_get(record.connection, attempt.attempt_id).failure == FAILURE


def test_a_life_that_is_over_writes_nothing_of_an_attempt_any_more(record: Record, step: Step) -> None:
    """Should two daemons ever believe that the record is theirs."""
    attempt = record.lease(step)
    record.write(lambda tx: tx.execute("UPDATE daemon SET epoch = 1"))
    epoch = record.write(lambda tx: services.epoch_begin(tx, at_work=[step.step_id]))
    assert epoch == 2
    for late in (Record.start, lambda record, attempt: _give_up(record, attempt, epoch=1)):
        with pytest.raises(errors.InvalidTransition):
            late(record, attempt)
    with pytest.raises(errors.InvalidTransition, match="later life"):
        record.write(lambda tx: services.epoch_require(tx, attempt_id=attempt.attempt_id, epoch=1))
    record.write(lambda tx: services.epoch_require(tx, attempt_id=attempt.attempt_id, epoch=epoch))
    assert selectors.attempt_get(record.connection, attempt.attempt_id).state is AttemptState.LEASED
    assert _give_up(record, attempt, epoch=epoch).state is AttemptState.ABANDONED


def _give_up(record: Record, attempt: Attempt, *, epoch: int) -> Attempt:
    return record.write(
        lambda tx: services.attempt_abandoned(tx, attempt_id=attempt.attempt_id, epoch=epoch, failure=FAILURE)
    )


def test_attempts_of_a_step_are_numbered(record: Record, step: Step) -> None:
    first = record.lease(step)
    record.advance(step, StepEvent.RETRY)
    record.advance(step, StepEvent.DUE)
    second = record.lease(step)
    assert (first.number, second.number, record.step_now(step).attempts) == (1, 2, 2)
    assert selectors.attempt_newest(record.connection, step.step_id) == second
    assert selectors.attempts_list(record.connection, step.step_id) == (first, second)
    run = runs.run_load(record.connection, step.run_id)
    other, unbegun = record.step(run), record.step(run)
    only = record.lease(other)
    asked = [other.step_id, unbegun.step_id, step.step_id]
    assert selectors.attempts_newest(record.connection, asked) == (only, second)


def test_of_very_many_changed_files_the_first_are_listed_and_all_are_counted(record: Record, step: Step) -> None:
    attempt = record.lease(step)
    record.start(attempt)
    record.exit(attempt)
    recorded = _record(record, attempt, changes=1500)
    assert (len(recorded.changes), recorded.changes_total) == (1000, 1500)


def test_every_life_of_the_daemon_has_its_own_epoch(record: Record) -> None:
    assert [record.write(lambda tx: services.epoch_begin(tx, at_work=[])) for _ in range(3)] == [1, 2, 3]


def test_no_view_shows_the_process(record: Record, step: Step) -> None:
    started = record.start(record.lease(step))
    assert not {"pid", "process_start", "boot_id"} & set(selectors.attempt_view(started).model_dump())


def test_an_unknown_attempt_is_not_found(record: Record) -> None:
    with pytest.raises(errors.NotFound):
        selectors.attempt_get(record.connection, ids.AttemptId("att_unknown"))
