"""Reads of runs, and their view.

Called by operation handlers and the scheduler. Tests: tests/unit/daemon/runs/test_services.py.
"""

from collections.abc import Mapping

from local_daemon.protocol import errors, messages, states
from local_daemon.runs import store
from local_daemon.runs.records import Run
from local_daemon.steps import selectors as steps
from local_daemon.storage import pages
from local_daemon.storage.database import Connection


def run_load(conn: Connection, run_id: str) -> Run:
    """The run, of whatever repository: for the scheduler. Raises NotFound."""
    run = store.run_by_id(conn, run_id)
    if run is None:
        raise errors.NotFound("No such run.", run_id=run_id)
    return run


def run_get(conn: Connection, run_id: str, *, repository_id: str) -> Run:
    """The run. Raises NotFound, also for a run of another repository."""
    run = store.run_by_id(conn, run_id)
    if run is None or run.repository_id != repository_id:
        raise errors.NotFound("No such run in this repository.", run_id=run_id)
    return run


def runs_list(
    conn: Connection, repository_id: str, *, state: states.RunState | None, limit: int, cursor: str | None
) -> tuple[tuple[Run, ...], str | None]:
    """A page of runs, newest first, and the cursor of the next page. Raises InvalidRequest for a cursor not ours."""
    before = pages.before_position(cursor)
    runs = store.runs_page(conn, repository_id, state=state, before=before, limit=limit + 1)
    return pages.page_cut(runs, limit=limit)


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
