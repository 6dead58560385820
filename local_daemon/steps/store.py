"""The SQL of steps and their tasks. Called by `services` and `selectors` only.

Tests: tests/unit/daemon/steps/.
"""

import json
from collections.abc import Collection, Sequence
from datetime import datetime

from local_daemon.protocol import errors, ids, messages, specs, states
from local_daemon.protocol.policies import Budget, Policy
from local_daemon.steps.records import Step
from local_daemon.storage import instants
from local_daemon.storage.database import Connection, Row
from local_daemon.storage.transaction import Transaction, Value

_SELECT = "SELECT * FROM steps "
_INSERT = """
    INSERT INTO steps (
        step_id, run_id, repository_id, name, title, executor, task_digest, state, is_before_gate_passed, warnings,
        summary, attempts, cancel_reason, call_id, submitted_by, created_at, updated_at
    ) VALUES (?, ?, ?, ?, ?, ?, ?, 'queued', 0, '[]', '', 0, '', ?, ?, ?, ?)
"""
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
_UPDATE = """
    UPDATE steps SET
        state = :state, resume_to = :resume_to, gate_id = :gate_id, is_before_gate_passed = :is_before_gate_passed,
        answer = :answer, failure = :failure, warnings = :warnings, summary = :summary, attempts = :attempts,
        patch_sha256 = :patch_sha256, evidence_digest = :evidence_digest, retry_at = :retry_at,
        cancel_requested_at = :cancel_requested_at, cancel_reason = :cancel_reason, updated_at = :updated_at,
        ended_at = :ended_at, skipped_for = :skipped_for, executor = :executor, fallback = :fallback,
        cancelled_by = :cancelled_by, retried_by = :retried_by, resolved_by = :resolved_by
    WHERE step_id = :step_id AND state = :expected
"""


def step_insert(
    tx: Transaction,
    *,
    step_id: ids.StepId,
    run_id: ids.RunId,
    repository_id: ids.RepositoryId,
    name: str | None,
    title: str,
    task: specs.TaskSpec,
    policies: Sequence[Policy],
) -> None:
    """Add a queued step, its task, and the policies that hold for it."""
    tx.execute(
        _INSERT,
        (
            step_id, run_id, repository_id, name, title, task.executor, task.digest(), tx.call_id, tx.actor,
            tx.now_text, tx.now_text,
        ),
    )  # fmt: skip
    held = json.dumps([policy.model_dump(mode="json", exclude_defaults=True) for policy in policies])
    tx.execute("INSERT INTO tasks (step_id, task, policies) VALUES (?, ?, ?)", (step_id, task.model_dump_json(), held))


def step_update(tx: Transaction, step: Step, *, expected: states.StepState) -> None:
    """Compare-and-set: replaces the row only while it is in the expected state. Raises InvalidTransition."""
    if tx.execute(_UPDATE, {**_values(step), "expected": expected}).rowcount != 1:
        raise errors.InvalidTransition("The step moved meanwhile; read it before retrying.", step_id=step.step_id)


def step_by_id(conn: Connection, step_id: str) -> Step | None:
    """The step with this id."""
    return _one(conn.execute(_SELECT + "WHERE step_id = ?", (step_id,)).fetchone())


def step_by_name(conn: Connection, run_id: str, name: str) -> Step | None:
    """The step of the run with this name."""
    return _one(conn.execute(_SELECT + "WHERE run_id = ? AND name = ?", (run_id, name)).fetchone())


def task_by_step(conn: Connection, step_id: str) -> str | None:
    """The JSON text of the step's task."""
    row = conn.execute("SELECT task FROM tasks WHERE step_id = ?", (step_id,)).fetchone()
    return None if row is None else str(row["task"])


def policies_by_step(conn: Connection, step_id: str) -> tuple[Policy, ...]:
    """The policies that hold for the step, its task's own first."""
    # Not the whole task, which may hold a patch of megabytes. Tasks of before have no policy.
    row = conn.execute("SELECT task -> 'policy' AS own, policies FROM tasks WHERE step_id = ?", (step_id,)).fetchone()
    if row is None:
        return ()
    return tuple(Policy.model_validate(held) for held in (json.loads(row["own"] or "{}"), *json.loads(row["policies"])))


def budget_by_step(conn: Connection, step_id: str) -> Budget:
    """The budget of the step's own task."""
    row = conn.execute("SELECT task -> 'budget' AS budget FROM tasks WHERE step_id = ?", (step_id,)).fetchone()
    return Budget() if row is None or row["budget"] is None else Budget.model_validate_json(row["budget"])


def steps_page(
    conn: Connection,
    run_id: str,
    *,
    order: messages.StepOrder,
    state: states.StepState | None,
    position: int,
    limit: int,
) -> tuple[Step, ...]:
    """Up to `limit` steps of the run beyond `position` in this order, optionally those in one state."""
    beyond, way = (">", "ASC") if order is messages.StepOrder.OLDEST else ("<", "DESC")
    where = f"WHERE run_id = ? AND position {beyond} ? AND (? IS NULL OR state = ?) ORDER BY position {way} LIMIT ?"
    return _all(conn.execute(_SELECT + where, (run_id, position, state, state, limit)).fetchall())


def steps_in_states(
    conn: Connection, among: Collection[states.StepState], *, repository_id: str | None
) -> tuple[ids.StepId, ...]:
    """All steps in these states, everywhere or in one repository, oldest first."""
    rows = conn.execute(
        "SELECT step_id FROM steps WHERE state IN (SELECT value FROM json_each(?)) "
        "AND (? IS NULL OR repository_id = ?) ORDER BY position",
        (json.dumps(sorted(among)), repository_id, repository_id),
    )
    return tuple(ids.StepId(row["step_id"]) for row in rows)


def steps_cancel_requested(conn: Connection, step_ids: Sequence[str]) -> frozenset[ids.StepId]:
    """Those of these steps that were asked to end."""
    rows = conn.execute(
        "SELECT step_id FROM steps "
        "WHERE step_id IN (SELECT value FROM json_each(?)) AND cancel_requested_at IS NOT NULL",
        (json.dumps(list(step_ids)),),
    )
    return frozenset(ids.StepId(row["step_id"]) for row in rows)


def steps_leasable(conn: Connection, *, repository_most: int, executors_full: Collection[str]) -> tuple[Step, ...]:
    """The first queued steps of every repository that isn't held, for executors with room, oldest first."""
    full = json.dumps(sorted(executors_full))
    found: list[Row] = []
    for row in conn.execute(_WITH_QUEUE).fetchall():
        found.extend(conn.execute(_QUEUE, (row["repository_id"], full, repository_most)).fetchall())
    return _all(sorted(found, key=lambda row: row["position"]))


def steps_of_run_in(conn: Connection, run_id: str, wanted: Collection[states.StepState]) -> tuple[Step, ...]:
    """Every step of the run in one of these states, oldest first."""
    where = "WHERE run_id = ? AND state IN (SELECT value FROM json_each(?)) ORDER BY position"
    return _all(conn.execute(_SELECT + where, (run_id, json.dumps(sorted(wanted)))).fetchall())


def needs_insert(
    tx: Transaction, *, step_id: ids.StepId, needs: Sequence[ids.StepId], base_step_id: ids.StepId | None
) -> None:
    """Let the step wait for others, and begin with the changes of one of them."""
    for needs_id in needs:
        tx.execute("INSERT INTO step_needs (step_id, needs_id) VALUES (?, ?)", (step_id, needs_id))
    if base_step_id is not None:
        tx.execute("UPDATE steps SET base_step_id = ? WHERE step_id = ?", (base_step_id, step_id))


def repository_is_held(conn: Connection, repository_id: str) -> bool:
    """Whether a step of the repository needs attention by policy."""
    row = conn.execute(
        "SELECT 1 FROM steps INDEXED BY steps_by_state WHERE state = 'needs_attention' AND repository_id = ? "
        "AND failure ->> 'kind' = 'policy' LIMIT 1",
        (repository_id,),
    ).fetchone()
    return row is not None


def steps_hopeless(conn: Connection, run_id: str) -> tuple[tuple[Step, str], ...]:
    """Steps of the run that wait for one that did not succeed, and which, oldest first."""
    rows = conn.execute(_HOPELESS, (run_id,)).fetchall()
    return tuple((_read(row), row["needed_id"]) for row in rows)


def steps_unbegun(conn: Connection, run_id: str) -> tuple[Step, ...]:
    """Steps of the run that no attempt was ever made of and that have not ended, oldest first."""
    where = "WHERE run_id = ? AND state IN ('queued', 'waiting') AND attempts = 0 ORDER BY position"
    return _all(conn.execute(_SELECT + where, (run_id,)).fetchall())


def step_unsuccessful(conn: Connection, run_id: str) -> Step | None:
    """The first step of the run that failed or was cancelled for itself, not for another."""
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


def steps_due(conn: Connection, now: datetime) -> tuple[Step, ...]:
    """Steps whose retry wait is over, the longest overdue first."""
    where = "WHERE retry_at IS NOT NULL AND retry_at <= ? ORDER BY retry_at"
    return _all(conn.execute(_SELECT + where, (instants.instant_text(now),)).fetchall())


def next_retry(conn: Connection) -> datetime | None:
    """When the next retry wait is over."""
    row = conn.execute("SELECT min(retry_at) AS soonest FROM steps WHERE retry_at IS NOT NULL").fetchone()
    return instants.optional_read(row["soonest"])


def counts_of_runs(conn: Connection, run_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many steps of each run are in which state; states without steps are left out."""
    counts: dict[str, dict[str, int]] = {run_id: {} for run_id in run_ids}
    rows = conn.execute(
        "SELECT run_id, state, steps FROM step_counts WHERE steps > 0 AND run_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(run_ids)),),
    )
    for row in rows:
        counts[row["run_id"]][row["state"]] = row["steps"]
    return counts


def _one(row: Row | None) -> Step | None:
    return None if row is None else _read(row)


def _all(rows: Sequence[Row]) -> tuple[Step, ...]:
    return tuple(_read(row) for row in rows)


def _values(step: Step) -> dict[str, Value]:
    return {
        "step_id": step.step_id,
        "state": step.state,
        "resume_to": step.resume_to,
        "gate_id": step.gate_id,
        "is_before_gate_passed": step.is_before_gate_passed,
        "answer": step.answer,
        "failure": None if step.failure is None else step.failure.model_dump_json(),
        "warnings": json.dumps(step.warnings),
        "summary": step.summary,
        "attempts": step.attempts,
        "patch_sha256": step.patch_sha256,
        "evidence_digest": step.evidence_digest,
        "retry_at": instants.optional_text(step.retry_at),
        "cancel_requested_at": instants.optional_text(step.cancel_requested_at),
        "cancel_reason": step.cancel_reason,
        "updated_at": instants.instant_text(step.updated_at),
        "ended_at": instants.optional_text(step.ended_at),
        "skipped_for": step.skipped_for,
        "executor": step.executor,
        "fallback": step.fallback,
        "cancelled_by": step.cancelled_by,
        "retried_by": step.retried_by,
        "resolved_by": step.resolved_by,
    }


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
