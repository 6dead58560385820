"""Reads of validations, and their view.

Called by operation handlers and the result. Tests: tests/unit/daemon/validations/test_services.py.
"""

from local_daemon.protocol import specs
from local_daemon.storage import pages
from local_daemon.storage.database import Connection
from local_daemon.validations import store
from local_daemon.validations.records import Validation


def validations_page(
    conn: Connection, step_id: str, *, limit: int, cursor: str | None
) -> tuple[tuple[Validation, ...], str | None]:
    """A page of the step's checks, all attempts, oldest first, and the cursor of the next. Raises InvalidRequest for a
    cursor not ours."""
    found = store.validations_page(conn, step_id, after=pages.after_position(cursor), limit=limit + 1)
    return pages.page_cut(found, limit=limit)


def validations_of_attempt(conn: Connection, attempt_id: str) -> tuple[Validation, ...]:
    """Checks of the attempt, oldest first."""
    return store.validations_of_attempt(conn, attempt_id)


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
