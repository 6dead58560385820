"""The SQL of applications. Called by `services` and `selectors` only.

Tests: tests/integration/daemon/test_applying.py.
"""

import json

from local_daemon.applications.records import Application
from local_daemon.protocol import errors, states
from local_daemon.storage import instants
from local_daemon.storage.database import Connection, Row
from local_daemon.storage.transaction import Transaction

_SELECT = "SELECT * FROM applications "
_INSERT = """
    INSERT INTO applications (
        application_id, step_id, attempt_id, run_id, repository_id, mode, branch, digest, before_commit, after_commit,
        state, reason, conflicts, requested_by, comment, call_id, requested_at, ended_at
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def application_insert(tx: Transaction, application: Application) -> None:
    """Add the row; its position is the record's to give. An older one of the same call lets go of its id: the answer
    to that was forgotten."""
    if application.call_id is not None:
        tx.execute("UPDATE applications SET call_id = NULL WHERE call_id = ?", (application.call_id,))
    tx.execute(
        _INSERT,
        (
            application.application_id, application.step_id, application.attempt_id, application.run_id,
            application.repository_id, application.mode, application.branch, application.digest,
            application.before_commit, application.after_commit, application.state, application.reason,
            json.dumps(application.conflicts), application.requested_by, application.comment, application.call_id,
            instants.instant_text(application.requested_at), instants.optional_text(application.ended_at),
        ),
    )  # fmt: skip


def application_end(
    tx: Transaction, *, application_id: str, state: states.ApplicationState, reason: str, conflicts: tuple[str, ...]
) -> None:
    """Compare-and-set: ends it only while it is planned. Raises InvalidTransition."""
    changed = tx.execute(
        "UPDATE applications SET state = ?, reason = ?, conflicts = ?, ended_at = ? "
        "WHERE application_id = ? AND state = 'planned'",
        (state, reason, json.dumps(conflicts), tx.now_text, application_id),
    )
    if changed.rowcount != 1:
        raise errors.InvalidTransition("The application ended meanwhile.", application_id=application_id)


def application_by_id(conn: Connection, application_id: str) -> Application | None:
    """The application with this id."""
    return _one(conn.execute(_SELECT + "WHERE application_id = ?", (application_id,)).fetchone())


def application_applied(conn: Connection, attempt_id: str, *, mode: str, branch: str) -> Application | None:
    """The newest application that brought this attempt's result onto that branch."""
    where = "WHERE attempt_id = ? AND mode = ? AND branch = ? AND state = 'applied' ORDER BY position DESC LIMIT 1"
    return _one(conn.execute(_SELECT + where, (attempt_id, mode, branch)).fetchone())


def repositories_with_planned(conn: Connection) -> tuple[str, ...]:
    """The repositories of planned applications."""
    rows = conn.execute("SELECT DISTINCT repository_id FROM applications WHERE state = 'planned'")
    return tuple(row["repository_id"] for row in rows)


def applications_planned(conn: Connection, repository_id: str) -> tuple[Application, ...]:
    """Applications of the repository that an earlier life of the daemon may not have finished, oldest first."""
    rows = conn.execute(_SELECT + "WHERE state = 'planned' AND repository_id = ? ORDER BY position", (repository_id,))
    return tuple(_read(row) for row in rows)


def applications_page(conn: Connection, step_id: str, *, after: int, limit: int) -> tuple[Application, ...]:
    """Up to `limit` applications of the step after position `after`, oldest first."""
    where = "WHERE step_id = ? AND position > ? ORDER BY position LIMIT ?"
    return tuple(_read(row) for row in conn.execute(_SELECT + where, (step_id, after, limit)))


def _one(row: Row | None) -> Application | None:
    return None if row is None else _read(row)


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
