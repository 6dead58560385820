"""Handlers of the lists of a step: its attempts, its checks, its artifacts, its applications.

Each is one page, oldest first, of all there is of a step of this repository. What one of them holds is asked of its own
noun's handlers. Called by `registry`.
Tests: tests/unit/daemon/operations/test_steps.py, tests/unit/daemon/operations/test_artifacts.py.
"""

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel

from local_daemon.applications import selectors as applications
from local_daemon.artifacts import selectors as artifacts
from local_daemon.attempts import selectors as attempts
from local_daemon.operations.context import Call, OperationContext
from local_daemon.protocol import applications as application_messages
from local_daemon.protocol import messages
from local_daemon.steps import selectors as steps
from local_daemon.storage import database
from local_daemon.validations import selectors as validations

T = TypeVar("T")


async def attempts_list(context: OperationContext, call: Call) -> BaseModel:
    """Tries of the step, oldest first."""
    return _page(context, call, page=messages.AttemptPage, listed=attempts.attempts_page, view=attempts.attempt_view)


async def validations_list(context: OperationContext, call: Call) -> BaseModel:
    """Checks of the step, all attempts, oldest first."""
    return _page(
        context,
        call,
        page=messages.ValidationPage,
        listed=validations.validations_page,
        view=validations.validation_view,
    )


async def artifacts_list(context: OperationContext, call: Call) -> BaseModel:
    """Evidence of the step, all attempts, oldest first."""
    return _page(
        context, call, page=messages.ArtifactPage, listed=artifacts.artifacts_page, view=artifacts.artifact_view
    )


async def applications_list(context: OperationContext, call: Call) -> BaseModel:
    """Applications of the step, oldest first."""
    return _page(
        context,
        call,
        page=application_messages.ApplicationPage,
        listed=applications.applications_page,
        view=applications.application_view,
    )


def _page(
    context: OperationContext,
    call: Call,
    *,
    page: Callable[..., BaseModel],
    listed: Callable[..., tuple[tuple[T, ...], str | None]],
    view: Callable[[T], BaseModel],
) -> BaseModel:
    asked = call.query_as(messages.PageQuery)

    def query(conn: database.Connection) -> BaseModel:
        step = steps.step_get(conn, call.step_id, repository_id=call.repository_id)
        found, next_cursor = listed(conn, step.step_id, limit=asked.limit, cursor=asked.cursor)
        return page(items=tuple(view(each) for each in found), next_cursor=next_cursor)

    return context.database.read(query)
