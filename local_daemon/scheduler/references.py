"""Which references to results (`refs/ropeway/…`) may go, and putting on record that they went.

Only of a run that has ended, long enough ago, and only where no evidence of the attempt is kept: a patch that can be
read can be applied. What an attempt that was given up had changed stands behind its reference and nowhere else, as does
what is too large for a patch, so those stay. Deliberately touches no repository (`worktrees/pruning`). Called by
`retention`. Tests: tests/integration/daemon/test_references.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from local_daemon.protocol import events, ids
from local_daemon.storage import event_log, instants
from local_daemon.storage.database import Connection
from local_daemon.storage.transaction import Transaction
from local_daemon.worktrees import pruning

_MAY_GO = """
    SELECT t.attempt_id, t.repository_id, t.run_id, t.step_id, t.ref, t.head_commit, r.updated_at
    FROM attempts t JOIN runs r ON r.run_id = t.run_id
    WHERE t.ref IS NOT NULL AND t.head_commit IS NOT NULL AND t.patch_artifact_id IS NOT NULL
    AND r.state IN ('completed', 'failed', 'cancelled') AND r.updated_at <= :ended_before
    AND NOT EXISTS (
        SELECT 1 FROM artifacts a
        WHERE a.attempt_id = t.attempt_id AND a.kind <> 'manifest' AND a.expired_at IS NULL
    )
    AND NOT EXISTS (SELECT 1 FROM applications p WHERE p.attempt_id = t.attempt_id AND p.state = 'planned')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A reference that may go, why, and how long ago its run must have ended."""

    attempt_id: ids.AttemptId
    repository_id: ids.RepositoryId
    run_id: ids.RunId
    step_id: ids.StepId
    ref: str
    head_commit: str | None
    reason: str
    ended_before: datetime


def references_due(
    conn: Connection, *, repository_id: str, old_before: datetime | None, young_from: datetime, refs_max: int | None
) -> list[Due]:
    """Of one repository: those of runs that ended before `old_before`, then the oldest beyond `refs_max`, but none of a
    run that ended after `young_from`."""
    found = conn.execute(
        _MAY_GO + "AND t.repository_id = :repository_id ORDER BY t.position",
        {"ended_before": instants.instant_text(young_from), "repository_id": repository_id},
    ).fetchall()
    over = 0 if refs_max is None else _count(conn, repository_id) - refs_max
    due = []
    for row in found:
        is_old = old_before is not None and instants.instant_read(row["updated_at"]) <= old_before
        if is_old or over > 0:
            over -= 1
            values = {name: row[name] for name in row.keys() if name != "updated_at"}  # noqa: SIM118 - not a dict
            due.append(Due(**values, reason="age" if is_old else "count", ended_before=young_from))
    return due


def references_expire(tx: Transaction, *, found: Sequence[Due]) -> int:
    """Let these go, unless their run goes on meanwhile; answers how many went."""
    gone = 0
    for each in found:
        still = tx.connection.execute(
            _MAY_GO + "AND t.attempt_id = :attempt_id",
            {"ended_before": instants.instant_text(each.ended_before), "attempt_id": each.attempt_id},
        ).fetchone()
        if still is None:
            continue
        gone += 1
        tx.execute("UPDATE attempts SET ref = NULL WHERE attempt_id = ?", (each.attempt_id,))
        for ref, head_commit in ((each.ref, each.head_commit), (f"{each.ref}{pruning.LEFTOVER_SUFFIX}", None)):
            tx.execute(
                "INSERT OR IGNORE INTO leaving_refs (ref, repository_id, head_commit) VALUES (?, ?, ?)",
                (ref, each.repository_id, head_commit),
            )
        event_log.event_append(
            tx,
            repository_id=each.repository_id,
            event_type=events.EventType.EVIDENCE_EXPIRED,
            run_id=each.run_id,
            step_id=each.step_id,
            data={"evidence": {"step_id": each.step_id, "artifacts": 0, "ref": each.ref, "reason": each.reason}},
        )
    return gone


def references_leaving(conn: Connection, *, repository_id: str) -> dict[str, str | None]:
    """What is to be taken from the repository, and what each is to name."""
    rows = conn.execute("SELECT ref, head_commit FROM leaving_refs WHERE repository_id = ?", (repository_id,))
    return {row["ref"]: row["head_commit"] for row in rows}


def references_settle(tx: Transaction, gone: Sequence[str]) -> None:
    """These are gone, and what only they had reached."""
    tx.connection.executemany("DELETE FROM leaving_refs WHERE ref = ?", [(ref,) for ref in gone])


def _count(conn: Connection, repository_id: str) -> int:
    row = conn.execute(
        "SELECT count(*) AS total FROM attempts WHERE repository_id = ? AND ref IS NOT NULL", (repository_id,)
    ).fetchone()
    return int(row["total"])
