"""Reads of steps, and their view.

Called by operation handlers and the scheduler. The whole result is `results.step_result`.
Tests: tests/unit/daemon/steps/test_services.py.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from local_daemon.protocol import errors, ids, messages, specs, states
from local_daemon.protocol.policies import Budget, Policy
from local_daemon.steps import lifecycle, store
from local_daemon.steps.records import Step
from local_daemon.storage import pages
from local_daemon.storage.database import Connection


def step_load(conn: Connection, step_id: str) -> Step:
    """The step, of whatever repository: for the scheduler, which owns them all. Raises NotFound."""
    step = store.step_by_id(conn, step_id)
    if step is None:
        raise errors.NotFound("No such step.", step_id=step_id)
    return step


def step_get(conn: Connection, step_id: str, *, repository_id: str) -> Step:
    """The step. Raises NotFound, also for a step of another repository."""
    step = store.step_by_id(conn, step_id)
    if step is None or step.repository_id != repository_id:
        raise errors.NotFound("No such step in this repository.", step_id=step_id)
    return step


def step_repeated(conn: Connection, run_id: str, name: str | None, task: specs.TaskSpec) -> Step | None:
    """The step that a repeat of this submission means; None where it is none: without a name each is another one.
    Raises IdempotencyConflict where the step of this name has another task."""
    known = None if name is None else store.step_by_name(conn, run_id, name)
    # Digests would tell two releases apart: one that has learnt of a new field counts it in.
    if known is not None and step_task(conn, known.step_id) != task:
        raise errors.IdempotencyConflict(
            "A step of this name exists in the run, with another task.", step_id=known.step_id
        )
    return known


def step_task(conn: Connection, step_id: str) -> specs.TaskSpec:
    """The TaskSpec the step was submitted with. Raises NotFound."""
    text = store.task_by_step(conn, step_id)
    if text is None:
        raise errors.NotFound("No such step.", step_id=step_id)
    return specs.TaskSpec.model_validate_json(text)


def step_policies(conn: Connection, step_id: str) -> tuple[Policy, ...]:
    """Every policy that holds for the step: its task's own first, then those that held when it was submitted."""
    return store.policies_by_step(conn, step_id)


def step_budget(conn: Connection, step_id: str) -> Budget:
    """What all attempts of the step may use together, by its task."""
    return store.budget_by_step(conn, step_id)


def steps_list(
    conn: Connection,
    run_id: str,
    *,
    limit: int,
    cursor: str | None,
    state: states.StepState | None = None,
    order: messages.StepOrder = messages.StepOrder.OLDEST,
) -> tuple[tuple[Step, ...], str | None]:
    """A page of the run's steps, all or those in one state, and the cursor of the next. Raises InvalidRequest for a
    cursor not ours."""
    is_oldest = order is messages.StepOrder.OLDEST
    position = pages.after_position(cursor) if is_oldest else pages.before_position(cursor)
    steps = store.steps_page(conn, run_id, order=order, state=state, position=position, limit=limit + 1)
    return pages.page_cut(steps, limit=limit)


def steps_leasable(conn: Connection, *, repository_most: int, executors_full: Collection[str]) -> tuple[Step, ...]:
    """Steps that may be leased, oldest first: up to so many of each repository, however long another one's queue is.
    A repository whose configuration a step may have changed is held: nothing of it is leased until that step is
    resolved."""
    return store.steps_leasable(conn, repository_most=repository_most, executors_full=executors_full)


def steps_at_work(conn: Connection, *, repository_id: str | None = None) -> tuple[ids.StepId, ...]:
    """The steps an attempt is at work on, everywhere or in one repository, oldest first."""
    return store.steps_in_states(conn, lifecycle.AT_WORK, repository_id=repository_id)


def steps_cancel_requested(conn: Connection, step_ids: Sequence[ids.StepId]) -> frozenset[ids.StepId]:
    """Those of these steps that were asked to end."""
    return store.steps_cancel_requested(conn, step_ids)


def steps_cancellable(conn: Connection, run_id: str) -> tuple[Step, ...]:
    """Steps of the run that a cancel can still end, oldest first."""
    return store.steps_of_run_in(conn, run_id, lifecycle.ENDED_AT_ONCE_BY_CANCEL | lifecycle.AT_WORK)


def repository_is_held(conn: Connection, repository_id: str) -> bool:
    """Whether nothing may run in the repository before a person has looked at a step of it."""
    return store.repository_is_held(conn, repository_id)


def steps_hopeless(conn: Connection, run_id: str) -> tuple[tuple[Step, str], ...]:
    """Steps of the run that can't begin any more, because one they need did not succeed, and whose end that was."""
    return store.steps_hopeless(conn, run_id)


def steps_unbegun(conn: Connection, run_id: str) -> tuple[Step, ...]:
    """Steps of the run that no attempt was ever made of, queued or waiting for approval, oldest first."""
    return store.steps_unbegun(conn, run_id)


def step_unsuccessful(conn: Connection, run_id: str) -> Step | None:
    """The first step of the run that failed or was cancelled for itself."""
    return store.step_unsuccessful(conn, run_id)


def blocked_count(conn: Connection, run_id: str) -> int:
    """How many queued steps of the run wait for others."""
    return store.blocked_count(conn, run_id)


def steps_retry_due(conn: Connection, now: datetime) -> tuple[Step, ...]:
    """Steps whose retry wait is over, the longest overdue first."""
    return store.steps_due(conn, now)


def step_next_retry(conn: Connection) -> datetime | None:
    """When the next retry wait is over; None while no step waits for one."""
    return store.next_retry(conn)


def step_counts(conn: Connection, run_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many steps of each run are in which state, in one query; states without steps are left out."""
    return store.counts_of_runs(conn, run_ids)


def step_view(step: Step) -> messages.StepView:
    """The step as everybody sees it."""
    return messages.StepView(
        step_id=step.step_id,
        run_id=step.run_id,
        repository_id=step.repository_id,
        name=step.name,
        title=step.title,
        executor=step.executor,
        state=step.state,
        resume_to=step.resume_to,
        gate_id=step.gate_id,
        failure=step.failure,
        warnings=step.warnings,
        summary=step.summary,
        attempts=step.attempts,
        task_digest=step.task_digest,
        patch_sha256=step.patch_sha256,
        evidence_digest=step.evidence_digest,
        created_at=step.created_at,
        updated_at=step.updated_at,
        ended_at=step.ended_at,
        submitted_by=step.submitted_by,
        cancelled_by=step.cancelled_by,
        retried_by=step.retried_by,
        resolved_by=step.resolved_by,
    )
