"""Writes of validations: one row for each check that ended. Running it is `runner`'s affair.

Called by the scheduler. Tests: tests/unit/daemon/validations/test_services.py.
"""

from local_daemon.protocol import events, ids, states
from local_daemon.storage import event_log
from local_daemon.storage.transaction import Transaction
from local_daemon.validations import selectors, store
from local_daemon.validations.records import Validation


def validation_record(
    tx: Transaction,
    *,
    step_id: ids.StepId,
    attempt_id: ids.AttemptId,
    run_id: ids.RunId,
    repository_id: ids.RepositoryId,
    name: str,
    command: str,
    verdict: states.ValidationVerdict,
    exit_code: int | None,
    duration_ms: int,
    stdout_artifact_id: ids.ArtifactId | None,
    stderr_artifact_id: ids.ArtifactId | None,
) -> Validation:
    """Record how one check of the attempt ended; its name is its own within the attempt."""
    validation = Validation(
        validation_id=ids.ValidationId(ids.new_id(ids.IdPrefix.VALIDATION)),
        step_id=step_id,
        attempt_id=attempt_id,
        run_id=run_id,
        repository_id=repository_id,
        name=name,
        command=command,
        verdict=verdict,
        exit_code=exit_code,
        duration_ms=duration_ms,
        stdout_artifact_id=stdout_artifact_id,
        stderr_artifact_id=stderr_artifact_id,
        created_at=tx.now,
    )
    validation = store.validation_insert(tx, validation)
    event_log.event_append(
        tx,
        repository_id=repository_id,
        event_type=events.EventType.VALIDATION_RECORDED,
        run_id=run_id,
        step_id=step_id,
        data={"validation": selectors.validation_view(validation).model_dump(mode="json")},
    )
    return validation
