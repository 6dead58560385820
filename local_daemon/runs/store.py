"""The SQL that writes runs. Called by `services` only.

Tests: tests/unit/daemon/runs/.
"""

import json
from collections.abc import Mapping

from local_daemon.protocol import errors, ids, states
from local_daemon.protocol.policies import Budget
from local_daemon.runs.lifecycle import FailureRule
from local_daemon.runs.records import Run
from local_daemon.storage import instants
from local_daemon.storage.transaction import Transaction, Value

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


def told_counts_keep(tx: Transaction, run_id: ids.RunId, counts: Mapping[str, int]) -> None:
    """Remember the step counts of the run's newest event."""
    tx.execute("UPDATE runs SET told_counts = ? WHERE run_id = ?", (json.dumps(dict(counts)), run_id))
