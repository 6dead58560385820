"""Reads of runs, and their view.

Called by operation handlers and the scheduler. Tests: tests/unit/daemon/runs/test_services.py.
"""

import json
from collections.abc import Mapping

from local_daemon.protocol import errors, messages, states
from local_daemon.protocol.policies import Budget
from local_daemon.runs.lifecycle import FailureRule
from local_daemon.runs.records import Run
from local_daemon.steps import selectors as steps
from local_daemon.storage import instants, pages
from local_daemon.storage.database import Connection, Row

_SELECT = "SELECT * FROM runs "


def run_find(conn: Connection, run_id: str) -> Run | None:
    """The run, of whatever repository, if there is one with this id."""
    return _one(conn.execute(_SELECT + "WHERE run_id = ?", (run_id,)).fetchone())


def run_load(conn: Connection, run_id: str) -> Run:
    """The run, of whatever repository: for the scheduler. Raises NotFound."""
    run = run_find(conn, run_id)
    if run is None:
        raise errors.NotFound("No such run.", run_id=run_id)
    return run


def run_get(conn: Connection, run_id: str, *, repository_id: str) -> Run:
    """The run. Raises NotFound, also for a run of another repository."""
    run = run_find(conn, run_id)
    if run is None or run.repository_id != repository_id:
        raise errors.NotFound("No such run in this repository.", run_id=run_id)
    return run


def run_named(conn: Connection, repository_id: str, name: str) -> Run | None:
    """The run of the repository with this name, if it has one."""
    return _one(conn.execute(_SELECT + "WHERE repository_id = ? AND name = ?", (repository_id, name)).fetchone())


def runs_list(
    conn: Connection, repository_id: str, *, state: states.RunState | None, limit: int, cursor: str | None
) -> tuple[tuple[Run, ...], str | None]:
    """A page of runs, newest first, and the cursor of the next page. Raises InvalidRequest for a cursor not ours."""
    before = pages.before_position(cursor)
    if state is None:
        where = "WHERE repository_id = ? AND position < ? ORDER BY position DESC LIMIT ?"
        rows = conn.execute(_SELECT + where, (repository_id, before, limit + 1))
    else:
        where = "WHERE repository_id = ? AND state = ? AND position < ? ORDER BY position DESC LIMIT ?"
        rows = conn.execute(_SELECT + where, (repository_id, state, before, limit + 1))
    return pages.page_cut([_read(row) for row in rows], limit=limit)


def told_counts(conn: Connection, run_id: str) -> dict[str, int]:
    """The step counts of the run's newest event."""
    row = conn.execute("SELECT told_counts FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    return dict(json.loads(row["told_counts"]))


def run_counted(conn: Connection, run: Run) -> messages.RunView:
    """The run as everybody sees it, its steps counted now."""
    return run_view(run, step_counts=steps.step_counts(conn, [run.run_id])[run.run_id])


def run_view(run: Run, *, step_counts: Mapping[str, int]) -> messages.RunView:
    """The run as everybody sees it."""
    return messages.RunView(
        run_id=run.run_id,
        repository_id=run.repository_id,
        name=run.name,
        title=run.title,
        objective=run.objective,
        state=run.state,
        is_closed=run.is_closed,
        step_counts=dict(step_counts),
        budget=run.budget if run.budget.is_set else None,
        created_at=run.created_at,
        updated_at=run.updated_at,
    )


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
