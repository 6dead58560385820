"""Runs hold steps, follow them, and stay ended."""

import pytest

from local_daemon.protocol import errors, events, specs
from local_daemon.protocol.states import FailureKind, RunState, StepEvent, StepState
from local_daemon.repositories.records import Repository
from local_daemon.runs import selectors, services
from local_daemon.runs.records import Run
from local_daemon.storage import event_log
from tests.record import TASK, Record

FAILURE = specs.Failure(kind=FailureKind.EXECUTOR, detail="it broke")


@pytest.fixture
def repository(record: Record) -> Repository:
    """Where the runs are."""
    return record.repository()


def _now(record: Record, run: Run) -> Run:
    return selectors.run_load(record.connection, run.run_id)


def test_a_name_is_a_natural_key_within_its_repository(record: Record, repository: Repository) -> None:
    run = record.run(repository, name="greet")
    assert record.run(repository, name="greet", objective="another") == run
    assert record.run(record.repository("/other"), name="greet") != run


def test_a_closed_run_completes_with_its_last_step(record: Record, repository: Repository) -> None:
    run = record.run(repository)
    step = record.step(run)
    closed = record.write(lambda tx: services.run_close(tx, run_id=run.run_id))
    assert (closed.is_closed, closed.state) == (True, RunState.RUNNING)
    record.work(step)
    record.advance(step, StepEvent.SUCCEEDED)
    assert _now(record, run).state is RunState.COMPLETED


def test_a_run_without_steps_completes_when_it_is_closed(record: Record, repository: Repository) -> None:
    run = record.run(repository)
    assert record.write(lambda tx: services.run_close(tx, run_id=run.run_id)).state is RunState.COMPLETED
    assert record.write(lambda tx: services.run_close(tx, run_id=run.run_id)).state is RunState.COMPLETED


def test_a_closed_run_takes_no_further_step_but_still_knows_those_it_has(
    record: Record, repository: Repository
) -> None:
    run = record.run(repository)
    step = record.step(run, name="one")
    record.write(lambda tx: services.run_close(tx, run_id=run.run_id))
    with pytest.raises(errors.InvalidTransition):
        record.step(run, name="two")
    assert record.step(run, name="one").step_id == step.step_id
    with pytest.raises(errors.IdempotencyConflict):
        record.step(run, TASK.model_copy(update={"goal": "another"}), name="one")


def test_cancelling_a_run_ends_its_steps_and_names_those_at_work(record: Record, repository: Repository) -> None:
    run = record.run(repository)
    queued, working, done = record.step(run), record.step(run), record.step(run)
    record.work(working, until=StepState.RUNNING)
    record.work(done)
    record.advance(done, StepEvent.SUCCEEDED)
    cancelled, ending = record.write(lambda tx: services.run_cancel_request(tx, run_id=run.run_id, reason="enough"))
    assert [step.step_id for step in ending] == [working.step_id]
    assert (cancelled.state, record.step_now(queued).state) == (RunState.RUNNING, StepState.CANCELLED)
    with pytest.raises(errors.InvalidTransition):
        record.step(run)
    record.advance(working, StepEvent.CANCELLED)
    assert _now(record, run).state is RunState.CANCELLED
    assert record.step_now(done).state is StepState.COMPLETED


def test_an_ended_run_is_not_cancelled(record: Record, repository: Repository) -> None:
    run = record.run(repository)
    record.write(lambda tx: services.run_close(tx, run_id=run.run_id))
    with pytest.raises(errors.InvalidTransition):
        record.write(lambda tx: services.run_cancel_request(tx, run_id=run.run_id, reason=""))


def test_a_failed_run_goes_on_when_a_person_retries_a_step(record: Record, repository: Repository) -> None:
    run = record.run(repository)
    step = record.step(run)
    record.write(lambda tx: services.run_close(tx, run_id=run.run_id))
    record.advance(step, StepEvent.FAILED, failure=FAILURE)
    assert _now(record, run).state is RunState.FAILED
    record.retry(step)
    assert _now(record, run).state is RunState.RUNNING
    record.work(step)
    record.advance(step, StepEvent.SUCCEEDED)
    assert _now(record, run).state is RunState.COMPLETED


def test_a_run_whose_only_step_was_cancelled_is_cancelled_and_goes_on_when_that_is_retried(
    record: Record, repository: Repository
) -> None:
    run = record.run(repository)
    step = record.step(run)
    record.write(lambda tx: services.run_close(tx, run_id=run.run_id))
    record.advance(step, StepEvent.CANCELLED)
    assert _now(record, run).state is RunState.CANCELLED
    record.retry(step)
    assert _now(record, run).state is RunState.RUNNING
    record.work(step)
    record.advance(step, StepEvent.SUCCEEDED)
    assert _now(record, run).state is RunState.COMPLETED


def test_a_run_cancelled_as_a_whole_is_never_reopened(record: Record, repository: Repository) -> None:
    run = record.run(repository)
    step = record.step(run)
    record.write(lambda tx: services.run_cancel_request(tx, run_id=run.run_id, reason=""))
    with pytest.raises(errors.InvalidTransition):
        record.retry(step)
    assert record.step_now(step).state is StepState.CANCELLED


def test_followers_are_told_when_a_state_or_a_count_moved_and_not_otherwise(
    record: Record, repository: Repository
) -> None:
    run = record.run(repository)
    record.step(run)
    before = event_log.log_head(record.connection, repository.repository_id).head_seq
    record.write(lambda tx: services.run_refresh(tx, run_id=run.run_id))
    assert event_log.log_head(record.connection, repository.repository_id).head_seq == before
    record.step(run)
    newest = event_log.events_after(record.connection, repository.repository_id, before, 10)[-1]
    assert newest.type == events.EventType.RUN_CHANGED
    assert newest.data["run"]["step_counts"] == {"queued": 2}


def test_an_endless_objective_still_fits_its_event(record: Record, repository: Repository) -> None:
    run = record.run(repository, objective="x" * 60_000)
    assert len(selectors.run_load(record.connection, run.run_id).objective) == 60_000
    newest = event_log.events_after(record.connection, repository.repository_id, 0, 10)[-1]
    assert newest.data["run"]["objective"].endswith("…")


def test_runs_are_listed_newest_first_in_pages_and_by_state(record: Record, repository: Repository) -> None:
    runs = [record.run(repository) for _ in range(5)]
    record.run(record.repository("/other"))
    record.write(lambda tx: services.run_close(tx, run_id=runs[0].run_id))
    conn, repository_id = record.connection, repository.repository_id
    first, cursor = selectors.runs_list(conn, repository_id, state=None, limit=3, cursor=None)
    rest, end = selectors.runs_list(conn, repository_id, state=None, limit=3, cursor=cursor)
    assert [run.run_id for run in (*first, *rest)] == [run.run_id for run in reversed(runs)]
    assert end is None
    completed, _ = selectors.runs_list(conn, repository_id, state=RunState.COMPLETED, limit=9, cursor=None)
    assert [run.run_id for run in completed] == [runs[0].run_id]


def test_a_run_of_another_repository_is_not_found(record: Record, repository: Repository) -> None:
    run = record.run(repository)
    other = record.repository("/other")
    with pytest.raises(errors.NotFound):
        selectors.run_get(record.connection, run.run_id, repository_id=other.repository_id)
