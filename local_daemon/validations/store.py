"""The SQL that writes validations. Called by `services` only.

Tests: tests/unit/daemon/validations/test_services.py.
"""

from dataclasses import replace

from local_daemon.storage import instants
from local_daemon.storage.transaction import Transaction
from local_daemon.validations.records import Validation

_INSERT = """
    INSERT INTO validations (
        validation_id, step_id, attempt_id, run_id, repository_id, name, command, verdict, exit_code, duration_ms,
        stdout_artifact_id, stderr_artifact_id, created_at
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING position
"""


def validation_insert(tx: Transaction, validation: Validation) -> Validation:
    """Add the row; answers the validation at its place."""
    row = tx.execute(
        _INSERT,
        (
            validation.validation_id, validation.step_id, validation.attempt_id, validation.run_id,
            validation.repository_id, validation.name, validation.command, validation.verdict, validation.exit_code,
            validation.duration_ms, validation.stdout_artifact_id, validation.stderr_artifact_id,
            instants.instant_text(validation.created_at),
        ),
    ).fetchone()  # fmt: skip
    return replace(validation, position=row["position"])
