"""Handler of usage.

Called by `registry`. Tests: tests/integration/daemon/test_lost_usage.py,
tests/unit/daemon/operations/test_usage.py.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel

from local_daemon.operations.context import Call, OperationContext
from local_daemon.protocol import errors
from local_daemon.protocol import usage as usage_messages
from local_daemon.protocol.policies import Budget
from local_daemon.repositories import selectors as repositories
from local_daemon.runs import selectors as runs
from local_daemon.steps import selectors as steps
from local_daemon.storage import database
from local_daemon.usage import budgets, selectors
from local_daemon.usage.records import Spent, SpentBy, SpentOn


async def usage_get(context: OperationContext, call: Call) -> BaseModel:
    """What a step, a run or the repository has used, and of which budget."""
    asked = call.query_as(usage_messages.UsageQuery)
    if asked.run_id is not None and asked.step_id is not None:
        raise errors.InvalidRequest("step_id: goes without run_id")
    now = database.utc_now()

    def query(conn: database.Connection) -> usage_messages.UsageView:
        if asked.step_id is not None:
            return _of_step(conn, asked.step_id, asked, repository_id=call.repository_id, now=now)
        if asked.run_id is not None:
            return _of_run(conn, asked.run_id, asked, repository_id=call.repository_id, now=now)
        return _of_repository(conn, asked, repository_id=call.repository_id, now=now)

    return context.database.read(query)


def _of_step(
    conn: database.Connection, step_id: str, asked: usage_messages.UsageQuery, *, repository_id: str, now: datetime
) -> usage_messages.UsageView:
    step = steps.step_get(conn, step_id, repository_id=repository_id)
    spent = selectors.step_spent(conn, step_id, now=now)
    by = selectors.step_spent_by(conn, step_id, now=now)
    on = selectors.step_spent_on(conn, step_id, now=now) if _is_by_day(asked) else ()
    view = _view(spent, by, on, budget=steps.step_budget(conn, step_id))
    return view.model_copy(update={"step_id": step.step_id, "run_id": step.run_id})


def _of_run(
    conn: database.Connection, run_id: str, asked: usage_messages.UsageQuery, *, repository_id: str, now: datetime
) -> usage_messages.UsageView:
    run = runs.run_get(conn, run_id, repository_id=repository_id)
    spent = selectors.run_spent(conn, run_id, now=now)
    by = selectors.run_spent_by(conn, run_id, now=now)
    on = selectors.run_spent_on(conn, run_id, now=now) if _is_by_day(asked) else ()
    return _view(spent, by, on, budget=run.budget).model_copy(update={"run_id": run.run_id})


def _of_repository(
    conn: database.Connection, asked: usage_messages.UsageQuery, *, repository_id: str, now: datetime
) -> usage_messages.UsageView:
    repositories.repository_get(conn, repository_id)
    since = _since(asked, now)
    spent = selectors.repository_spent(conn, repository_id, since=since, now=now)
    by = selectors.repository_spent_by(conn, repository_id, since=since, now=now)
    on = selectors.repository_spent_on(conn, repository_id, since=since, now=now) if _is_by_day(asked) else ()
    return _view(spent, by, on, budget=None).model_copy(update={"since": since})


def _since(asked: usage_messages.UsageQuery, now: datetime) -> datetime:
    """Where the days begin that are asked for; by day none of them is cut, but today by its not being over."""
    if not _is_by_day(asked):
        return now - timedelta(days=asked.days)
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=asked.days - 1)


def _is_by_day(asked: usage_messages.UsageQuery) -> bool:
    return asked.by is usage_messages.UsageBy.DAY


def _view(
    spent: Spent, by: Sequence[SpentBy], on: Sequence[SpentOn], *, budget: Budget | None
) -> usage_messages.UsageView:
    limited = budget if budget is not None and budget.is_set else None
    return usage_messages.UsageView(
        spent=selectors.spent_view(spent),
        by=tuple(
            usage_messages.SpentByView(executor=each.executor, model=each.model, spent=selectors.spent_view(each.spent))
            for each in by
        ),
        by_day=tuple(
            usage_messages.SpentOnView(day=each.day.isoformat(), spent=selectors.spent_view(each.spent)) for each in on
        ),
        budget=limited,
        exhausted=None if limited is None else budgets.used_up(limited, spent),
    )
