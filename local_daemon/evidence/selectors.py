"""Reads of evidence, and its view.

Called by the result and `ropeway verify`. Tests: tests/unit/daemon/evidence/test_verification.py.
"""

from collections.abc import Iterator

from local_daemon.evidence.records import Evidence
from local_daemon.protocol import ids, specs
from local_daemon.storage import instants
from local_daemon.storage.database import Connection, Row


def evidence_find(conn: Connection, attempt_id: str) -> Evidence | None:
    """The attempt's signed manifest; None while there is none."""
    row = conn.execute("SELECT * FROM evidence WHERE attempt_id = ?", (attempt_id,)).fetchone()
    return None if row is None else _read(row)


def evidence_all(conn: Connection) -> Iterator[Evidence]:
    """Every signed manifest on record, for checking them all."""
    return (_read(row) for row in conn.execute("SELECT * FROM evidence"))


def evidence_view(evidence: Evidence) -> specs.EvidenceView:
    """The evidence as everybody sees it."""
    return specs.EvidenceView(
        artifact_id=evidence.artifact_id,
        digest=evidence.digest,
        signature=evidence.signature,
        public_key=evidence.public_key,
    )


def _read(row: Row) -> Evidence:
    return Evidence(
        attempt_id=ids.AttemptId(row["attempt_id"]),
        artifact_id=row["artifact_id"],
        digest=row["digest"],
        signature=row["signature"],
        public_key=row["public_key"],
        created_at=instants.instant_read(row["created_at"]),
    )
