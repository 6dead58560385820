"""Reads of steps, and their view.

Called by operation handlers and the scheduler. The whole result is `results.step_result`.
Tests: tests/unit/daemon/steps/test_services.py.
"""

import json
from collections.abc import Collection, Sequence
from datetime import datetime

from local_daemon.protocol import errors, ids, messages, specs, states
from local_daemon.protocol.policies import Budget, Policy
from local_daemon.steps import lifecycle
from local_daemon.steps.records import Step
from local_daemon.storage import instants, pages
from local_daemon.storage.database import Connection, Row

_SELECT = "SELECT * FROM steps "
# A repository is held while a step of it needs attention by policy: nothing runs there until a person has looked.
_WITH_QUEUE = """
    SELECT DISTINCT repository_id FROM steps WHERE state = 'queued' AND repository_id NOT IN (
        SELECT repository_id FROM steps WHERE state = 'needs_attention' AND failure ->> 'kind' = 'policy'
    )
"""
# By state, which few steps are in: by repository SQLite would look at every step that has ended, since it can't know.
_QUEUE = """
    SELECT * FROM steps INDEXED BY steps_by_state WHERE state = 'queued' AND unmet = 0 AND repository_id = ?
    AND executor NOT IN (SELECT value FROM json_each(?)) ORDER BY position LIMIT ?
"""
_HOPELESS = """
    SELECT steps.*, coalesce(needed.skipped_for, needed.step_id) AS needed_id FROM steps
    JOIN step_needs USING (step_id) JOIN steps AS needed ON needed.step_id = step_needs.needs_id
    WHERE steps.run_id = ? AND steps.unmet > 0 AND steps.state IN ('queued', 'waiting')
    AND needed.state IN ('failed', 'cancelled') ORDER BY steps.position, needed.position
"""


def step_find(conn: Connection, step_id: str) -> Step | None:
    """The step, of whatever repository, if there is one with this id."""
    return _one(conn.execute(_SELECT + "WHERE step_id = ?", (step_id,)).fetchone())


def step_load(conn: Connection, step_id: str) -> Step:
    """The step, of whatever repository: for the scheduler, which owns them all. Raises NotFound."""
    step = step_find(conn, step_id)
    if step is None:
        raise errors.NotFound("No such step.", step_id=step_id)
    return step


def step_get(conn: Connection, step_id: str, *, repository_id: str) -> Step:
    """The step. Raises NotFound, also for a step of another repository."""
    step = step_find(conn, step_id)
    if step is None or step.repository_id != repository_id:
        raise errors.NotFound("No such step in this repository.", step_id=step_id)
    return step


def step_repeated(conn: Connection, run_id: str, name: str | None, task: specs.TaskSpec) -> Step | None:
    """The step that a repeat of this submission means; None where it is none: without a name each is another one.
    Raises IdempotencyConflict where the step of this name has another task."""
    if name is None:
        return None
    known = _one(conn.execute(_SELECT + "WHERE run_id = ? AND name = ?", (run_id, name)).fetchone())
    # Digests would tell two releases apart: one that has learnt of a new field counts it in.
    if known is not None and step_task(conn, known.step_id) != task:
        raise errors.IdempotencyConflict(
            "A step of this name exists in the run, with another task.", step_id=known.step_id
        )
    return known


def step_task(conn: Connection, step_id: str) -> specs.TaskSpec:
    """The TaskSpec the step was submitted with. Raises NotFound."""
    row = conn.execute("SELECT task FROM tasks WHERE step_id = ?", (step_id,)).fetchone()
    if row is None:
        raise errors.NotFound("No such step.", step_id=step_id)
    return specs.TaskSpec.model_validate_json(row["task"])


def step_policies(conn: Connection, step_id: str) -> tuple[Policy, ...]:
    """Every policy that holds for the step: its task's own first, then those that held when it was submitted."""
    # Not the whole task, which may hold a patch of megabytes. Tasks of before have no policy.
    row = conn.execute("SELECT task -> 'policy' AS own, policies FROM tasks WHERE step_id = ?", (step_id,)).fetchone()
    if row is None:
        return ()
    return tuple(Policy.model_validate(held) for held in (json.loads(row["own"] or "{}"), *json.loads(row["policies"])))


def step_budget(conn: Connection, step_id: str) -> Budget:
    """What all attempts of the step may use together, by its task."""
    row = conn.execute("SELECT task -> 'budget' AS budget FROM tasks WHERE step_id = ?", (step_id,)).fetchone()
    return Budget() if row is None or row["budget"] is None else Budget.model_validate_json(row["budget"])


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
    beyond, way = (">", "ASC") if is_oldest else ("<", "DESC")
    where = f"WHERE run_id = ? AND position {beyond} ? AND (? IS NULL OR state = ?) ORDER BY position {way} LIMIT ?"
    rows = conn.execute(_SELECT + where, (run_id, position, state, state, limit + 1)).fetchall()
    return pages.page_cut(_all(rows), limit=limit)


def steps_leasable(conn: Connection, *, repository_most: int, executors_full: Collection[str]) -> tuple[Step, ...]:
    """Steps that may be leased, oldest first: up to so many of each repository, however long another one's queue is.
    A repository whose configuration a step may have changed is held: nothing of it is leased until that step is
    resolved."""
    full = json.dumps(sorted(executors_full))
    found: list[Row] = []
    for row in conn.execute(_WITH_QUEUE).fetchall():
        found.extend(conn.execute(_QUEUE, (row["repository_id"], full, repository_most)).fetchall())
    return _all(sorted(found, key=lambda row: row["position"]))


def steps_at_work(conn: Connection, *, repository_id: str | None = None) -> tuple[ids.StepId, ...]:
    """The steps an attempt is at work on, everywhere or in one repository, oldest first."""
    rows = conn.execute(
        "SELECT step_id FROM steps WHERE state IN (SELECT value FROM json_each(?)) "
        "AND (? IS NULL OR repository_id = ?) ORDER BY position",
        (json.dumps(sorted(lifecycle.AT_WORK)), repository_id, repository_id),
    )
    return tuple(ids.StepId(row["step_id"]) for row in rows)


def steps_cancel_requested(conn: Connection, step_ids: Sequence[ids.StepId]) -> frozenset[ids.StepId]:
    """Those of these steps that were asked to end."""
    rows = conn.execute(
        "SELECT step_id FROM steps "
        "WHERE step_id IN (SELECT value FROM json_each(?)) AND cancel_requested_at IS NOT NULL",
        (json.dumps(list(step_ids)),),
    )
    return frozenset(ids.StepId(row["step_id"]) for row in rows)


def steps_cancellable(conn: Connection, run_id: str) -> tuple[Step, ...]:
    """Steps of the run that a cancel can still end, oldest first."""
    where = "WHERE run_id = ? AND state IN (SELECT value FROM json_each(?)) ORDER BY position"
    wanted = json.dumps(sorted(lifecycle.ENDED_AT_ONCE_BY_CANCEL | lifecycle.AT_WORK))
    return _all(conn.execute(_SELECT + where, (run_id, wanted)).fetchall())


def repository_is_held(conn: Connection, repository_id: str) -> bool:
    """Whether nothing may run in the repository before a person has looked at a step of it."""
    row = conn.execute(
        "SELECT 1 FROM steps INDEXED BY steps_by_state WHERE state = 'needs_attention' AND repository_id = ? "
        "AND failure ->> 'kind' = 'policy' LIMIT 1",
        (repository_id,),
    ).fetchone()
    return row is not None


def steps_hopeless(conn: Connection, run_id: str) -> tuple[tuple[Step, str], ...]:
    """Steps of the run that can't begin any more, because one they need did not succeed, and whose end that was, oldest
    first."""
    rows = conn.execute(_HOPELESS, (run_id,)).fetchall()
    return tuple((_read(row), row["needed_id"]) for row in rows)


def steps_unbegun(conn: Connection, run_id: str) -> tuple[Step, ...]:
    """Steps of the run that no attempt was ever made of, queued or waiting for approval, oldest first."""
    where = "WHERE run_id = ? AND state IN ('queued', 'waiting') AND attempts = 0 ORDER BY position"
    return _all(conn.execute(_SELECT + where, (run_id,)).fetchall())


def step_unsuccessful(conn: Connection, run_id: str) -> Step | None:
    """The first step of the run that failed or was cancelled for itself."""
    where = "WHERE run_id = ? AND state IN ('failed', 'cancelled') AND skipped_for IS NULL ORDER BY position LIMIT 1"
    return _one(conn.execute(_SELECT + where, (run_id,)).fetchone())


def steps_skipped_for(conn: Connection, step_id: str) -> tuple[Step, ...]:
    """Steps that never began because of this one, oldest first."""
    where = "WHERE skipped_for = ? AND state = 'cancelled' ORDER BY position"
    return _all(conn.execute(_SELECT + where, (step_id,)).fetchall())


def blocked_count(conn: Connection, run_id: str) -> int:
    """How many queued steps of the run wait for others."""
    row = conn.execute(
        "SELECT count(*) AS steps FROM steps WHERE run_id = ? AND unmet > 0 AND state = 'queued'", (run_id,)
    ).fetchone()
    return int(row["steps"])


def steps_retry_due(conn: Connection, now: datetime) -> tuple[Step, ...]:
    """Steps whose retry wait is over, the longest overdue first."""
    where = "WHERE retry_at IS NOT NULL AND retry_at <= ? ORDER BY retry_at"
    return _all(conn.execute(_SELECT + where, (instants.instant_text(now),)).fetchall())


def step_next_retry(conn: Connection) -> datetime | None:
    """When the next retry wait is over; None while no step waits for one."""
    row = conn.execute("SELECT min(retry_at) AS soonest FROM steps WHERE retry_at IS NOT NULL").fetchone()
    return instants.optional_read(row["soonest"])


def step_counts(conn: Connection, run_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many steps of each run are in which state, in one query; states without steps are left out."""
    counts: dict[str, dict[str, int]] = {run_id: {} for run_id in run_ids}
    rows = conn.execute(
        "SELECT run_id, state, steps FROM step_counts WHERE steps > 0 AND run_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(run_ids)),),
    )
    for row in rows:
        counts[row["run_id"]][row["state"]] = row["steps"]
    return counts


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


def _one(row: Row | None) -> Step | None:
    return None if row is None else _read(row)


def _all(rows: Sequence[Row]) -> tuple[Step, ...]:
    return tuple(_read(row) for row in rows)


def _read(row: Row) -> Step:
    return Step(
        position=row["position"],
        step_id=row["step_id"],
        run_id=row["run_id"],
        repository_id=row["repository_id"],
        name=row["name"],
        title=row["title"],
        executor=row["executor"],
        task_digest=row["task_digest"],
        state=states.StepState(row["state"]),
        resume_to=None if row["resume_to"] is None else states.StepState(row["resume_to"]),
        gate_id=row["gate_id"],
        is_before_gate_passed=bool(row["is_before_gate_passed"]),
        answer=row["answer"],
        failure=None if row["failure"] is None else specs.Failure.model_validate_json(row["failure"]),
        warnings=tuple(json.loads(row["warnings"])),
        summary=row["summary"],
        attempts=row["attempts"],
        patch_sha256=row["patch_sha256"],
        evidence_digest=row["evidence_digest"],
        retry_at=instants.optional_read(row["retry_at"]),
        cancel_requested_at=instants.optional_read(row["cancel_requested_at"]),
        cancel_reason=row["cancel_reason"],
        call_id=row["call_id"],
        created_at=instants.instant_read(row["created_at"]),
        updated_at=instants.instant_read(row["updated_at"]),
        ended_at=instants.optional_read(row["ended_at"]),
        unmet=row["unmet"],
        base_step_id=row["base_step_id"],
        skipped_for=row["skipped_for"],
        fallback=row["fallback"],
        submitted_by=row["submitted_by"],
        cancelled_by=row["cancelled_by"],
        retried_by=row["retried_by"],
        resolved_by=row["resolved_by"],
    )
