"""The SQL of runs. Called by `services` and `selectors` only.

Tests: tests/unit/daemon/runs/.
"""

import json
from collections.abc import Mapping

from local_daemon.protocol import errors, ids, states
from local_daemon.protocol.policies import Budget
from local_daemon.runs.lifecycle import FailureRule
from local_daemon.runs.records import Run
from local_daemon.storage import instants
from local_daemon.storage.database import Connection, Row
from local_daemon.storage.transaction import Transaction, Value

_SELECT = "SELECT * FROM runs "
_INSERT = """
    INSERT INTO runs (
        run_id, repository_id, name, title, objective, state, is_closed, failure_rule, cancel_reason, told_counts,
        budget, created_at, updated_at
    ) VALUES (?, ?, ?, ?, ?, 'open', 0, ?, '', '{}', ?, ?, ?)
"""
_UPDATE = """
    UPDATE runs SET
        state = :state, is_closed = :is_closed, cancel_requested_at = :cancel_requested_at,
        cancel_reason = :cancel_reason, updated_at = :updated_at
    WHERE run_id = :run_id AND state = :expected
"""


def run_insert(
    tx: Transaction,
    *,
    run_id: ids.RunId,
    repository_id: ids.RepositoryId,
    name: str | None,
    title: str | None,
    objective: str,
    failure_rule: FailureRule,
    budget: Budget,
) -> None:
    """Add an open run."""
    limit = budget.model_dump_json(exclude_defaults=True)
    tx.execute(_INSERT, (run_id, repository_id, name, title, objective, failure_rule, limit, tx.now_text, tx.now_text))


def run_update(tx: Transaction, run: Run, *, expected: states.RunState) -> None:
    """Compare-and-set: replaces the row only while it is in the expected state. Raises InvalidTransition."""
    values: dict[str, Value] = {
        "run_id": run.run_id,
        "state": run.state,
        "is_closed": run.is_closed,
        "cancel_requested_at": instants.optional_text(run.cancel_requested_at),
        "cancel_reason": run.cancel_reason,
        "updated_at": instants.instant_text(run.updated_at),
        "expected": expected,
    }
    if tx.execute(_UPDATE, values).rowcount != 1:
        raise errors.InvalidTransition("The run moved meanwhile; read it before retrying.", run_id=run.run_id)


def told_counts(conn: Connection, run_id: str) -> dict[str, int]:
    """The step counts of the run's newest event."""
    row = conn.execute("SELECT told_counts FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    return dict(json.loads(row["told_counts"]))


def told_counts_keep(tx: Transaction, run_id: ids.RunId, counts: Mapping[str, int]) -> None:
    """Remember the step counts of the run's newest event."""
    tx.execute("UPDATE runs SET told_counts = ? WHERE run_id = ?", (json.dumps(dict(counts)), run_id))


def run_by_id(conn: Connection, run_id: str) -> Run | None:
    """The run with this id."""
    return _one(conn.execute(_SELECT + "WHERE run_id = ?", (run_id,)).fetchone())


def run_by_name(conn: Connection, repository_id: str, name: str) -> Run | None:
    """The run of the repository with this name."""
    return _one(conn.execute(_SELECT + "WHERE repository_id = ? AND name = ?", (repository_id, name)).fetchone())


def runs_page(
    conn: Connection, repository_id: str, *, state: states.RunState | None, before: int, limit: int
) -> tuple[Run, ...]:
    """Up to `limit` runs of the repository created before position `before`, newest first."""
    if state is None:
        where = "WHERE repository_id = ? AND position < ? ORDER BY position DESC LIMIT ?"
        rows = conn.execute(_SELECT + where, (repository_id, before, limit))
    else:
        where = "WHERE repository_id = ? AND state = ? AND position < ? ORDER BY position DESC LIMIT ?"
        rows = conn.execute(_SELECT + where, (repository_id, state, before, limit))
    return tuple(_read(row) for row in rows)


def _one(row: Row | None) -> Run | None:
    return None if row is None else _read(row)


def _read(row: Row) -> Run:
    return Run(
        position=row["position"],
        run_id=row["run_id"],
        repository_id=row["repository_id"],
        name=row["name"],
        title=row["title"],
        objective=row["objective"],
        state=states.RunState(row["state"]),
        is_closed=bool(row["is_closed"]),
        failure_rule=FailureRule(row["failure_rule"]),
        budget=Budget.model_validate_json(row["budget"]),
        cancel_requested_at=instants.optional_read(row["cancel_requested_at"]),
        cancel_reason=row["cancel_reason"],
        created_at=instants.instant_read(row["created_at"]),
        updated_at=instants.instant_read(row["updated_at"]),
    )
