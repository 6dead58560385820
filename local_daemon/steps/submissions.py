"""What was handed in for a step, or for a whole run at once: kept beside the task in the transaction that queued it.

Deliberately no part of a task, whose digest it doesn't touch. Called by operation handlers, and by the command line of
whoever sits at the machine. Tests: tests/unit/daemon/steps/test_submissions.py.
"""

from local_daemon.protocol import ids
from local_daemon.protocol.origins import Provenance
from local_daemon.steps.records import Step
from local_daemon.storage import schema
from local_daemon.storage.database import Connection
from local_daemon.storage.transaction import Transaction

_SINCE = 13
"""The migration that made room for it."""
_OF_STEP = "SELECT provenance FROM submissions WHERE step_id = ?"
_OF_RUN = "SELECT provenance FROM submissions WHERE run_id = ? AND step_id IS NULL"


def submission_keep(
    tx: Transaction, *, run_id: ids.RunId, step_id: ids.StepId | None, provenance: Provenance | None
) -> None:
    """Keep what was handed in for the step, or without one for all steps of the run; nothing where nobody told."""
    if provenance is not None:
        tx.execute(
            "INSERT INTO submissions (run_id, step_id, provenance) VALUES (?, ?, ?)",
            (run_id, step_id, provenance.model_dump_json()),
        )


def submission_find(conn: Connection, step: Step) -> Provenance | None:
    """What was handed in for the step, by itself or with its run; None where nobody told, as in the record of a daemon
    that began before the command's update."""
    if schema.schema_version(conn) < _SINCE:
        return None
    for statement, value in ((_OF_STEP, step.step_id), (_OF_RUN, step.run_id)):
        row = conn.execute(statement, (value,)).fetchone()
        if row is not None:
            return Provenance.model_validate_json(row["provenance"])
    return None
