"""Reads of applications, and their view.

Called by operation handlers. Tests: tests/integration/daemon/test_applying.py.
"""

from local_daemon.applications import store
from local_daemon.applications.records import Application
from local_daemon.protocol import applications as application_messages
from local_daemon.protocol import errors
from local_daemon.storage import pages
from local_daemon.storage.database import Connection


def application_get(conn: Connection, application_id: str) -> Application:
    """The application. Raises NotFound."""
    application = store.application_by_id(conn, application_id)
    if application is None:
        raise errors.NotFound("No such application.", application_id=application_id)
    return application


def application_applied(conn: Connection, attempt_id: str, *, mode: str, branch: str) -> Application | None:
    """The application that brought this result onto that branch already."""
    return store.application_applied(conn, attempt_id, mode=mode, branch=branch)


def applications_planned(conn: Connection, repository_id: str) -> tuple[Application, ...]:
    """What an earlier life of the daemon may not have finished."""
    return store.applications_planned(conn, repository_id)


def applications_page(
    conn: Connection, step_id: str, *, limit: int, cursor: str | None
) -> tuple[tuple[Application, ...], str | None]:
    """A page of the step's applications, oldest first, and the cursor of the next. Raises InvalidRequest for a cursor
    not ours."""
    found = store.applications_page(conn, step_id, after=pages.after_position(cursor), limit=limit + 1)
    return pages.page_cut(found, limit=limit)


def repositories_with_planned(conn: Connection) -> tuple[str, ...]:
    """The repositories in which something is planned; in a start, all of it is an earlier life's."""
    return store.repositories_with_planned(conn)


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
