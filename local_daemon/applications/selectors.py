"""Reads of applications, and their view.

Called by operation handlers. Tests: tests/integration/daemon/test_applying.py.
"""

import json

from local_daemon.applications.records import Application
from local_daemon.protocol import applications as application_messages
from local_daemon.protocol import errors, states
from local_daemon.storage import instants, pages
from local_daemon.storage.database import Connection, Row

_SELECT = "SELECT * FROM applications "


def application_get(conn: Connection, application_id: str) -> Application:
    """The application. Raises NotFound."""
    row = conn.execute(_SELECT + "WHERE application_id = ?", (application_id,)).fetchone()
    if row is None:
        raise errors.NotFound("No such application.", application_id=application_id)
    return _read(row)


def application_applied(conn: Connection, attempt_id: str, *, mode: str, branch: str) -> Application | None:
    """The application that brought this result onto that branch already; the newest, where there are more."""
    where = "WHERE attempt_id = ? AND mode = ? AND branch = ? AND state = 'applied' ORDER BY position DESC LIMIT 1"
    row = conn.execute(_SELECT + where, (attempt_id, mode, branch)).fetchone()
    return None if row is None else _read(row)


def applications_planned(conn: Connection, repository_id: str) -> tuple[Application, ...]:
    """What an earlier life of the daemon may not have finished, oldest first."""
    rows = conn.execute(_SELECT + "WHERE state = 'planned' AND repository_id = ? ORDER BY position", (repository_id,))
    return tuple(_read(row) for row in rows)


def applications_page(
    conn: Connection, step_id: str, *, limit: int, cursor: str | None
) -> tuple[tuple[Application, ...], str | None]:
    """A page of the step's applications, oldest first, and the cursor of the next. Raises InvalidRequest for a cursor
    not ours."""
    where = "WHERE step_id = ? AND position > ? ORDER BY position LIMIT ?"
    rows = conn.execute(_SELECT + where, (step_id, pages.after_position(cursor), limit + 1))
    return pages.page_cut([_read(row) for row in rows], limit=limit)


def repositories_with_planned(conn: Connection) -> tuple[str, ...]:
    """The repositories in which something is planned; in a start, all of it is an earlier life's."""
    rows = conn.execute("SELECT DISTINCT repository_id FROM applications WHERE state = 'planned'")
    return tuple(row["repository_id"] for row in rows)


def application_view(application: Application) -> application_messages.ApplicationView:
    """The application as everybody sees it."""
    return application_messages.ApplicationView(
        application_id=application.application_id,
        step_id=application.step_id,
        attempt_id=application.attempt_id,
        mode=application.mode,
        branch=application.branch,
        digest=application.digest,
        before_commit=application.before_commit,
        after_commit=application.after_commit,
        state=application.state,
        reason=application.reason,
        conflicts=application.conflicts,
        requested_by=application.requested_by,
        comment=application.comment,
        requested_at=application.requested_at,
        ended_at=application.ended_at,
    )


def _read(row: Row) -> Application:
    return Application(
        position=row["position"],
        application_id=row["application_id"],
        step_id=row["step_id"],
        attempt_id=row["attempt_id"],
        run_id=row["run_id"],
        repository_id=row["repository_id"],
        mode=row["mode"],
        branch=row["branch"],
        digest=row["digest"],
        before_commit=row["before_commit"],
        after_commit=row["after_commit"],
        state=states.ApplicationState(row["state"]),
        reason=row["reason"],
        conflicts=tuple(json.loads(row["conflicts"])),
        requested_by=row["requested_by"],
        comment=row["comment"],
        call_id=row["call_id"],
        requested_at=instants.instant_read(row["requested_at"]),
        ended_at=instants.optional_read(row["ended_at"]),
    )
