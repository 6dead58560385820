"""No statement of the daemon walks through a table that grows: each is answered by an index.

The statements are those that a life of a step really runs, caught on their way to SQLite.
"""

import itertools
from datetime import timedelta

import pytest

from local_daemon.applications import selectors as applications
from local_daemon.artifacts import selectors as artifacts
from local_daemon.artifacts.records import ArtifactKind
from local_daemon.attempts import selectors as attempts
from local_daemon.evidence import selectors as evidence
from local_daemon.gates import selectors as gates
from local_daemon.gates import services as gate_services
from local_daemon.protocol.ids import IdPrefix
from local_daemon.protocol.messages import StepOrder
from local_daemon.protocol.states import GateState, RunState, StepEvent, StepState
from local_daemon.repositories import selectors as repositories
from local_daemon.runs import selectors as runs
from local_daemon.runs import services as run_services
from local_daemon.runs.records import Run
from local_daemon.steps import results, submissions
from local_daemon.steps import selectors as steps
from local_daemon.steps import services as step_services
from local_daemon.storage import event_log, identifiers
from local_daemon.validations import selectors as validations
from tests.record import TASK, Record

NAMED_BY_HAND = (IdPrefix.RUN, IdPrefix.STEP, IdPrefix.GATE, IdPrefix.CONVERSATION)
GATED = TASK.model_copy(update={"gates": TASK.gates.model_copy(update={"before": True})})


def _live(record: Record) -> None:
    """Every write and read there is, once."""
    repository = record.repository()
    run = record.run(repository, name="run")
    step = record.step(run, name="step")
    record.work(step)
    record.advance(step, StepEvent.RETRY)
    record.step(run, GATED)
    record.write(lambda tx: run_services.run_cancel_request(tx, run_id=run.run_id, reason=""))
    record.write(gate_services.gates_expire_due)
    conn, repository_id = record.connection, repository.repository_id
    attempt = attempts.attempt_newest(conn, step.step_id)
    assert attempt is not None
    repositories.repository_get(conn, repository_id)
    repositories.repositories_page(conn, limit=10, cursor=None)
    repositories.repositories_forgotten_page(conn, limit=10, cursor=None)
    applications.applications_page(conn, step.step_id, limit=10, cursor=None)
    event_log.events_after(conn, repository_id, 0, 10)
    for run_state in (None, RunState.OPEN):
        runs.runs_list(conn, repository_id, state=run_state, limit=10, cursor=None)
    for gate_state in (None, GateState.OPEN):
        gates.gates_list(conn, repository_id, state=gate_state, limit=10, cursor=None)
    gates.gate_next_expiry(conn)
    for order in StepOrder:
        for step_state in (None, StepState.QUEUED):
            steps.steps_list(conn, run.run_id, limit=10, cursor=None, state=step_state, order=order)
    for noun in NAMED_BY_HAND:
        identifiers.ids_newest(conn, noun, repository_id, limit=10)
    for noun in (*NAMED_BY_HAND, IdPrefix.ARTIFACT):
        identifiers.ids_beginning(conn, noun, repository_id, beginning="01j0", limit=10)
    steps.steps_leasable(conn, repository_most=10, executors_full=["busy"])
    steps.repository_is_held(conn, repository_id)
    attempts.attempts_newest(conn, steps.steps_at_work(conn))
    steps.steps_cancel_requested(conn, [step.step_id])
    steps.steps_retry_due(conn, record.now + timedelta(days=1))
    steps.step_next_retry(conn)
    steps.step_counts(conn, [run.run_id])
    steps.step_task(conn, step.step_id)
    submissions.submission_find(conn, step)
    results.step_result(conn, steps.step_get(conn, step.step_id, repository_id=repository_id))
    attempts.attempts_list(conn, step.step_id)
    attempts.attempt_get(conn, attempt.attempt_id)
    attempts.attempts_page(conn, step.step_id, limit=10, cursor=None)
    artifacts.artifacts_page(conn, step.step_id, limit=10, cursor=None)
    artifacts.artifact_of_kind(conn, attempt.attempt_id, ArtifactKind.PATCH)
    validations.validations_page(conn, step.step_id, limit=10, cursor=None)
    validations.validations_of_attempt(conn, attempt.attempt_id)
    evidence.evidence_find(conn, attempt.attempt_id)


BOUNDED = ("SCAN daemon", "SCAN sqlite_schema")
"""Of one row, and of one for each table and index: no record makes them longer."""


@pytest.fixture
def plans(record: Record) -> dict[str, list[str]]:
    """Every statement and how SQLite goes about it."""
    statements: set[str] = set()
    record.connection.set_trace_callback(statements.add)
    _live(record)
    record.connection.set_trace_callback(None)
    explained = {}
    for statement in statements:
        if statement.split(maxsplit=1)[0] in ("SELECT", "UPDATE", "DELETE", "INSERT"):
            rows = record.connection.execute(f"EXPLAIN QUERY PLAN {statement}")
            explained[statement] = [row["detail"] for row in rows]
    return explained


def test_no_statement_scans_a_table(plans: dict[str, list[str]]) -> None:
    assert len(plans) > 40
    scans = {
        statement: plan
        for statement, plan in plans.items()
        if any(detail.startswith("SCAN") and "json_each" not in detail and detail not in BOUNDED for detail in plan)
    }
    assert scans == {}, "\n".join(f"{statement}: {plan}" for statement, plan in scans.items())


def test_no_list_is_sorted_after_it_was_found(plans: dict[str, list[str]]) -> None:
    """Except what one attempt or one run holds, what is at work and what was named, which have bounds of their own."""
    bounded = (" IN (", "FROM json_each(", "WHERE attempt_id =")
    sorted_later = [
        statement
        for statement, plan in plans.items()
        if any("TEMP B-TREE" in detail for detail in plan)
        and not any(mark in " ".join(statement.split()) for mark in bounded)
    ]
    assert sorted_later == []


LOOKS = {
    "what may be leased": lambda conn, run: steps.steps_leasable(conn, repository_most=10, executors_full=[]),
    "whether a repository is held": lambda conn, run: steps.repository_is_held(conn, run.repository_id),
    "what is at work": lambda conn, run: steps.steps_at_work(conn),
    "what is due": lambda conn, run: (steps.step_next_retry(conn), gates.gate_next_expiry(conn)),
    "a run's counts": lambda conn, run: steps.step_counts(conn, [run.run_id]),
}
"""What is asked for each step, or by each start."""


@pytest.mark.parametrize("look", LOOKS)
def test_looking_costs_the_same_however_many_steps_have_ended(record: Record, look: str) -> None:
    """An index that is used may still be the wrong one: counted is what SQLite does, in steps of its machine."""
    run = record.run(record.repository())
    record.step(run)
    ended = record.step(run)
    record.write(lambda tx: step_services.step_cancel_request(tx, step_id=ended.step_id, reason=""))
    few = _cost(record, look, run)
    for _ in range(50):
        more = record.step(run)
        record.write(lambda tx, step_id=more.step_id: step_services.step_cancel_request(tx, step_id=step_id, reason=""))
    assert _cost(record, look, run) == few


def _cost(record: Record, look: str, run: Run) -> int:
    done = itertools.count()

    def go_on() -> int:
        next(done)
        return 0

    record.connection.set_progress_handler(go_on, 1)
    LOOKS[look](record.connection, run)
    record.connection.set_progress_handler(None, 0)
    return next(done)
