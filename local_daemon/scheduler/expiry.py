"""Which evidence may go, and putting on record that it went: its row stays, its bytes are to be removed.

Only of a run that has ended, and long enough ago. A manifest never goes: with its digests, what went can still be
checked if a copy turns up. Called by `retention`. Tests: tests/integration/daemon/test_retention.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from local_daemon.protocol import events, ids
from local_daemon.storage import event_log, instants
from local_daemon.storage.database import Connection
from local_daemon.storage.transaction import Transaction

AT_ONCE = 200
"""Pieces of evidence that one transaction lets go."""

_IDS_TOLD = 100
_EXPIRABLE = """
    SELECT a.artifact_id, a.repository_id, a.run_id, a.step_id, a.sha256, a.size_bytes
    FROM artifacts a INDEXED BY artifacts_that_may_go JOIN runs r ON r.run_id = a.run_id
    WHERE a.expired_at IS NULL AND a.kind <> 'manifest' AND a.created_at <= :ended_before
    AND r.state IN ('completed', 'failed', 'cancelled') AND r.updated_at <= :ended_before
    ORDER BY a.created_at, a.step_id LIMIT :limit
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expirable:
    """A piece of evidence that may go."""

    artifact_id: ids.ArtifactId
    repository_id: ids.RepositoryId
    run_id: ids.RunId
    step_id: ids.StepId
    sha256: str
    size_bytes: int


def evidence_expirable(conn: Connection, *, ended_before: datetime, limit: int = AT_ONCE) -> tuple[Expirable, ...]:
    """The oldest evidence of runs that ended before then."""
    values = {"ended_before": instants.instant_text(ended_before), "limit": limit}
    return tuple(Expirable(**dict(row)) for row in conn.execute(_EXPIRABLE, values))


def evidence_size_bytes(conn: Connection) -> int:
    """How much all evidence takes that is kept; the same bytes count once."""
    row = conn.execute(
        "SELECT COALESCE(sum(size_bytes), 0) AS total FROM "
        "(SELECT DISTINCT sha256, size_bytes FROM artifacts INDEXED BY artifacts_kept WHERE expired_at IS NULL)"
    ).fetchone()
    return int(row["total"])


def evidence_oldest_at(conn: Connection) -> datetime | None:
    """When the oldest evidence was recorded that may go one day."""
    row = conn.execute(
        "SELECT min(created_at) AS oldest FROM artifacts INDEXED BY artifacts_that_may_go "
        "WHERE expired_at IS NULL AND kind <> 'manifest'"
    ).fetchone()
    return instants.optional_read(row["oldest"])


def evidence_expire(tx: Transaction, found: Sequence[Expirable], *, ended_before: datetime, reason: str) -> int:
    """Let these go, unless their run goes on meanwhile; answers how many went."""
    now = evidence_expirable(tx.connection, ended_before=ended_before, limit=2 * AT_ONCE)
    still = {each.artifact_id for each in now}
    going = [each for each in found if each.artifact_id in still]
    for each in going:
        tx.execute("UPDATE artifacts SET expired_at = ? WHERE artifact_id = ?", (tx.now_text, each.artifact_id))
        tx.execute("INSERT OR IGNORE INTO leaving_blobs (sha256) VALUES (?)", (each.sha256,))
    for step_id, pieces in groupby(sorted(going, key=attrgetter("step_id")), key=attrgetter("step_id")):
        gone = list(pieces)
        event_log.event_append(
            tx,
            repository_id=gone[0].repository_id,
            event_type=events.EventType.EVIDENCE_EXPIRED,
            run_id=gone[0].run_id,
            step_id=step_id,
            data={
                "evidence": {
                    "step_id": step_id,
                    "artifact_ids": [each.artifact_id for each in gone[:_IDS_TOLD]],
                    "artifacts": len(gone),
                    "size_bytes": sum(each.size_bytes for each in gone),
                    "reason": reason,
                }
            },
        )
    return len(going)


def blobs_leaving(conn: Connection) -> tuple[str, ...]:
    """Digests whose bytes are to be removed; those that evidence still needs are not."""
    rows = conn.execute(
        "SELECT sha256 FROM leaving_blobs l WHERE NOT EXISTS "
        "(SELECT 1 FROM artifacts a WHERE a.sha256 = l.sha256 AND a.expired_at IS NULL)"
    )
    return tuple(row["sha256"] for row in rows)


def blobs_settle(tx: Transaction, removed: Sequence[str]) -> None:
    """These are gone; and what evidence needs again stays."""
    tx.connection.executemany("DELETE FROM leaving_blobs WHERE sha256 = ?", [(digest,) for digest in removed])
    tx.execute(
        "DELETE FROM leaving_blobs WHERE EXISTS (SELECT 1 FROM artifacts a "
        "WHERE a.sha256 = leaving_blobs.sha256 AND a.expired_at IS NULL)"
    )
