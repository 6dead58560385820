"""The SQL that writes steps and their tasks. Called by `services` only.

Tests: tests/unit/daemon/steps/.
"""

import json
from collections.abc import Sequence

from local_daemon.protocol import errors, ids, specs, states
from local_daemon.protocol.policies import Policy
from local_daemon.steps.records import Step
from local_daemon.storage import instants
from local_daemon.storage.transaction import Transaction, Value

_INSERT = """
    INSERT INTO steps (
        step_id, run_id, repository_id, name, title, executor, task_digest, state, is_before_gate_passed, warnings,
        summary, attempts, cancel_reason, call_id, submitted_by, created_at, updated_at
    ) VALUES (?, ?, ?, ?, ?, ?, ?, 'queued', 0, '[]', '', 0, '', ?, ?, ?, ?)
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


def needs_insert(
    tx: Transaction, *, step_id: ids.StepId, needs: Sequence[ids.StepId], base_step_id: ids.StepId | None
) -> None:
    """Let the step wait for others, and begin with the changes of one of them."""
    for needs_id in needs:
        tx.execute("INSERT INTO step_needs (step_id, needs_id) VALUES (?, ?)", (step_id, needs_id))
    if base_step_id is not None:
        tx.execute("UPDATE steps SET base_step_id = ? WHERE step_id = ?", (base_step_id, step_id))


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
