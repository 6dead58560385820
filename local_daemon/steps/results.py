"""The result of a step at any time: what it came to, told by its newest attempt and everything recorded with it.

A read over the rooms below; before the first attempt it just says the state. Called by operation handlers.
Tests: tests/unit/daemon/steps/test_results.py.
"""

from local_daemon.artifacts import selectors as artifacts
from local_daemon.artifacts.records import Artifact, ArtifactKind
from local_daemon.attempts import selectors as attempts
from local_daemon.attempts.records import Attempt
from local_daemon.evidence import selectors as evidence
from local_daemon.gates import selectors as gates
from local_daemon.protocol import specs
from local_daemon.steps.records import Step
from local_daemon.storage.database import Connection
from local_daemon.validations import selectors as validations


def step_result(conn: Connection, step: Step) -> specs.ResultSpec:
    """Verdict, changes, validations, artifacts and evidence of the step's newest attempt."""
    result = specs.ResultSpec(
        run_id=step.run_id,
        step_id=step.step_id,
        attempt_number=step.attempts,
        state=step.state,
        executor=step.executor,
        summary=step.summary,
        failure=step.failure,
        warnings=step.warnings,
        question=_open_question(conn, step),
        gate_id=step.gate_id,
        ended_at=step.ended_at,
    )
    attempt = attempts.attempt_newest(conn, step.step_id)
    return result if attempt is None else result.model_copy(update=_of_attempt(conn, step, attempt))


def _of_attempt(conn: Connection, step: Step, attempt: Attempt) -> dict[str, object]:
    kept = artifacts.artifacts_of_attempt(conn, attempt.attempt_id)
    signed = evidence.evidence_find(conn, attempt.attempt_id)
    patch = _patch(kept)
    ended_at = step.ended_at or attempt.ended_at
    duration = None if attempt.started_at is None or ended_at is None else ended_at - attempt.started_at
    return {
        "attempt_id": attempt.attempt_id,
        "attempt_number": attempt.number,
        "executor": attempt.executor,
        "summary": step.summary or attempt.summary,
        "warnings": step.warnings or attempt.warnings,
        "base_commit": attempt.base_commit,
        "uncommitted": attempt.uncommitted,
        "head_commit": attempt.head_commit,
        "ref": attempt.ref,
        "patch": None if patch is None else artifacts.artifact_view(patch),
        "changes": attempt.changes,
        "changes_total": attempt.changes_total,
        "validations": tuple(
            validations.validation_view(validation)
            for validation in validations.validations_of_attempt(conn, attempt.attempt_id)
        ),
        "artifacts": tuple(artifacts.artifact_view(artifact) for artifact in kept),
        "usage": attempt.usage,
        "evidence": None if signed is None else evidence.evidence_view(signed),
        "started_at": attempt.started_at,
        "ended_at": ended_at,
        "duration_ms": None if duration is None else round(duration.total_seconds() * 1000),
    }


def _patch(kept: tuple[Artifact, ...]) -> Artifact | None:
    return next((artifact for artifact in kept if artifact.kind is ArtifactKind.PATCH), None)


def _open_question(conn: Connection, step: Step) -> str | None:
    if step.gate_id is None:
        return None
    return gates.gate_get(conn, step.gate_id, repository_id=step.repository_id).question
