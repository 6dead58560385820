"""Reads of validations, and their view.

Called by operation handlers and the result. Tests: tests/unit/daemon/validations/test_services.py.
"""

from local_daemon.protocol import ids, specs, states
from local_daemon.storage import instants, pages
from local_daemon.storage.database import Connection, Row
from local_daemon.validations.records import Validation

_SELECT = "SELECT * FROM validations "


def validations_page(
    conn: Connection, step_id: str, *, limit: int, cursor: str | None
) -> tuple[tuple[Validation, ...], str | None]:
    """A page of the step's checks, all attempts, oldest first, and the cursor of the next. Raises InvalidRequest for a
    cursor not ours."""
    where = "WHERE step_id = ? AND position > ? ORDER BY position LIMIT ?"
    rows = conn.execute(_SELECT + where, (step_id, pages.after_position(cursor), limit + 1))
    return pages.page_cut([_read(row) for row in rows], limit=limit)


def validations_of_attempt(conn: Connection, attempt_id: str) -> tuple[Validation, ...]:
    """Checks of the attempt, oldest first."""
    rows = conn.execute(_SELECT + "WHERE attempt_id = ? ORDER BY position", (attempt_id,))
    return tuple(_read(row) for row in rows)


def validation_view(validation: Validation) -> specs.ValidationView:
    """The check as everybody sees it."""
    return specs.ValidationView(
        validation_id=validation.validation_id,
        step_id=validation.step_id,
        attempt_id=validation.attempt_id,
        name=validation.name,
        command=validation.command,
        verdict=validation.verdict,
        exit_code=validation.exit_code,
        duration_ms=validation.duration_ms,
        stdout_artifact_id=validation.stdout_artifact_id,
        stderr_artifact_id=validation.stderr_artifact_id,
    )


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
