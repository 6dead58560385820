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
            step = steps.step_get(conn, asked.step_id, repository_id=call.repository_id)
            scope, budget = selectors.of_step(step.step_id), steps.step_budget(conn, step.step_id)
            whose: dict[str, object] = {"step_id": step.step_id, "run_id": step.run_id}
        elif asked.run_id is not None:
            run = runs.run_get(conn, asked.run_id, repository_id=call.repository_id)
            scope, budget = selectors.of_run(run.run_id), run.budget
            whose = {"run_id": run.run_id}
        else:
            repositories.repository_get(conn, call.repository_id)
            since = _since(asked, now)
            scope, budget = selectors.of_repository(call.repository_id, since=since), Budget()
            whose = {"since": since}
        spent = selectors.spent(conn, scope, now=now)
        by = selectors.spent_by(conn, scope, now=now)
        on = selectors.spent_on(conn, scope, now=now) if _is_by_day(asked) else ()
        return _view(spent, by, on, budget=budget).model_copy(update=whose)

    return context.database.read(query)


def _since(asked: usage_messages.UsageQuery, now: datetime) -> datetime:
    """Where the days begin that are asked for; by day none of them is cut, but today by its not being over."""
    if not _is_by_day(asked):
        return now - timedelta(days=asked.days)
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=asked.days - 1)


def _is_by_day(asked: usage_messages.UsageQuery) -> bool:
    return asked.by is usage_messages.UsageBy.DAY


def _view(spent: Spent, by: Sequence[SpentBy], on: Sequence[SpentOn], *, budget: Budget) -> usage_messages.UsageView:
    limited = budget if budget.is_set else None
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
