"""The SQL of validations. Called by `services` and `selectors` only.

Tests: tests/unit/daemon/validations/test_services.py.
"""

from dataclasses import replace

from local_daemon.protocol import ids, states
from local_daemon.storage import instants
from local_daemon.storage.database import Connection, Row
from local_daemon.storage.transaction import Transaction
from local_daemon.validations.records import Validation

_SELECT = "SELECT * FROM validations "
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


def validations_page(conn: Connection, step_id: str, *, after: int, limit: int) -> tuple[Validation, ...]:
    """Up to `limit` checks of the step after position `after`, oldest first."""
    where = "WHERE step_id = ? AND position > ? ORDER BY position LIMIT ?"
    return tuple(_read(row) for row in conn.execute(_SELECT + where, (step_id, after, limit)))


def validations_of_attempt(conn: Connection, attempt_id: str) -> tuple[Validation, ...]:
    """Checks of the attempt, oldest first."""
    rows = conn.execute(_SELECT + "WHERE attempt_id = ? ORDER BY position", (attempt_id,))
    return tuple(_read(row) for row in rows)


def _read(row: Row) -> Validation:
    return Validation(
        position=row["position"],
        validation_id=ids.ValidationId(row["validation_id"]),
        step_id=row["step_id"],
        attempt_id=row["attempt_id"],
        run_id=row["run_id"],
        repository_id=row["repository_id"],
        name=row["name"],
        command=row["command"],
        verdict=states.ValidationVerdict(row["verdict"]),
        exit_code=row["exit_code"],
        duration_ms=row["duration_ms"],
        stdout_artifact_id=row["stdout_artifact_id"],
        stderr_artifact_id=row["stderr_artifact_id"],
        created_at=instants.instant_read(row["created_at"]),
    )
