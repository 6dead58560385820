"""Handlers of runs.

Called by `registry`. Tests: tests/unit/daemon/operations/test_runs.py.
"""

from pydantic import BaseModel

from local_daemon.operations.context import Call, OperationContext
from local_daemon.operations.remembered import answered, once
from local_daemon.protocol import ids, messages
from local_daemon.repositories import selectors as repositories
from local_daemon.runs import selectors, services
from local_daemon.steps import selectors as steps
from local_daemon.storage import database, texts
from local_daemon.storage.transaction import Transaction

_LISTED_OBJECTIVE_BYTES = 2000
"""A list shows the beginning of an objective; the run itself holds all of it."""


async def run_create(context: OperationContext, call: Call) -> BaseModel:
    """Open a run."""
    body = call.body_as(messages.RunCreate)

    def apply(tx: Transaction) -> BaseModel:
        repositories.repository_get(tx.connection, call.repository_id)
        run, created = services.run_create(
            tx,
            repository_id=call.repository_id,
            objective=body.objective,
            name=body.name,
            title=body.title,
            budget=body.budget,
        )
        return messages.RunAnswer(run=selectors.run_counted(tx.connection, run), created=created)

    return answered(await context.database.write("run_create", once(call, apply), call_id=call.call_id))


async def runs_list(context: OperationContext, call: Call) -> BaseModel:
    """A page of runs, newest first."""
    asked = call.query_as(messages.RunListQuery)

    def query(conn: database.Connection) -> BaseModel:
        repositories.repository_get(conn, call.repository_id)
        runs, next_cursor = selectors.runs_list(
            conn, call.repository_id, state=asked.state, limit=asked.limit, cursor=asked.cursor
        )
        counts = steps.step_counts(conn, [run.run_id for run in runs])
        views = [selectors.run_view(run, step_counts=counts[run.run_id]) for run in runs]
        return messages.RunPage(items=tuple(_shortened(view) for view in views), next_cursor=next_cursor)

    return context.database.read(query)


async def run_get(context: OperationContext, call: Call) -> BaseModel:
    """One run."""

    def query(conn: database.Connection) -> BaseModel:
        run = selectors.run_get(conn, call.run_id, repository_id=call.repository_id)
        return selectors.run_counted(conn, run)

    return context.database.read(query)


async def run_close(context: OperationContext, call: Call) -> BaseModel:
    """Say that no further step comes."""

    def apply(tx: Transaction) -> BaseModel:
        selectors.run_get(tx.connection, call.run_id, repository_id=call.repository_id)
        run = services.run_close(tx, run_id=call.run_id)
        return messages.RunAnswer(run=selectors.run_counted(tx.connection, run))

    return answered(await context.database.write("run_close", once(call, apply), call_id=call.call_id))


async def run_cancel(context: OperationContext, call: Call) -> BaseModel:
    """Ask every unfinished step to end."""
    body = call.body_as(messages.CancelRequest)
    at_work: list[ids.StepId] = []

    def apply(tx: Transaction) -> BaseModel:
        selectors.run_get(tx.connection, call.run_id, repository_id=call.repository_id)
        run, ending = services.run_cancel_request(tx, run_id=call.run_id, reason=body.reason)
        at_work.extend(step.step_id for step in ending)
        return messages.RunAnswer(run=selectors.run_counted(tx.connection, run))

    answer = answered(await context.database.write("run_cancel", once(call, apply), call_id=call.call_id))
    for step_id in at_work:
        context.scheduler.cancel(step_id)
    return answer


def _shortened(view: messages.RunView) -> messages.RunView:
    return view.model_copy(update={"objective": texts.text_cut(view.objective, limit_bytes=_LISTED_OBJECTIVE_BYTES)})
