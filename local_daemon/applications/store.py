"""The SQL that writes applications. Called by `services` only.

Tests: tests/integration/daemon/test_applying.py.
"""

import json

from local_daemon.applications.records import Application
from local_daemon.protocol import errors, states
from local_daemon.storage import instants
from local_daemon.storage.transaction import Transaction

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
