"""The one funnel: every remote operation, from whatever surface, passes through `dispatch_operation`.

Accept (authenticate, authorize, locate, record, audit: one commit), deliver, await the answer (recorded and audited:
one commit). The same code serves processes that hold links and those that do not: the row is what counts, and wake-ups
are hints. Called by relay/http and MCP through the wiring, and by the admin, schedules and commands as
`dispatch_operation_sync`. Tests: tests/integration/cloud/relay/.
"""

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cloud.access.principals import Principal
from cloud.dispatch import acceptance, progress, selectors, wake
from cloud.dispatch.acceptance import Accepted, Next, Terms
from cloud.dispatch.observation import Observed
from cloud.dispatch.requests import Sent
from cloud.tenancy.threads import connections_give_back, in_database_thread
from cloud.tracing import spans
from local_daemon.protocol import errors, limits
from local_daemon.protocol.states import CallState
from relay import contents
from relay.calls import Answer
from relay.ports import PlannerAnswer
from relay.router import Router

ASYNC_STATUS = 202


class NotInstalled(RuntimeError):
    """The wiring did not say how calls are carried in this process."""


class _Carriage:
    """How calls are carried in this process."""

    conninfo: Callable[[], str] | None = None
    router: Router | None = None
    loop: asyncio.AbstractEventLoop | None = None


def install(*, conninfo: Callable[[], str]) -> None:
    """In every process: where answers are heard by those that hold no links."""
    _Carriage.conninfo = conninfo


def install_router(router: Router) -> None:
    """In a process that holds links, on its event loop: what carries its calls."""
    _Carriage.router = router
    _Carriage.loop = asyncio.get_running_loop()


def carried() -> tuple[int, int]:
    """How many connectors' links end in this process, and how many calls are waited for here."""
    router = _Carriage.router
    return (0, 0) if router is None else (len(router.registry.connector_ids()), len(router.pending.awaited()))


async def dispatch_operation(
    *,
    principal: Principal | Callable[[], Principal],
    operation_name: str,
    project_id: str,
    parameters: Mapping[str, str],
    query: Mapping[str, Any],
    body: bytes | Mapping[str, Any] | None,
    idempotency_key: str | None = None,
    location: str | None = None,
    deadline_s: float | None = None,
    traceparent: str | None = None,
    client_address: str | None = None,
    respond_async: bool = False,
) -> PlannerAnswer:
    """Call a machine and await its answer; with `respond_async`, only until the call is durable (status 202).

    `principal` may be a function that authenticates, which then costs no hop of its own. Raises what the machine, or
    the way there, refused: every error of the table, with `call_id` among its attributes once there is a call."""
    sent = Sent(
        operation=operation_name,
        parameters=parameters,
        query=query,
        body=body,
        location=location,
        idempotency_key=idempotency_key,
    )
    with Observed(operation_name, traceparent) as observed:
        terms = Terms(
            deadline_s=deadline_s,
            traceparent=observed.traceparent,
            client_address=client_address,
            respond_async=respond_async,
        )
        return await _dispatch(_identify(principal), sent, project_id, terms, observed)


async def _dispatch(
    identify: Callable[[], Principal],
    sent: Sent,
    project_id: str,
    terms: Terms,
    observed: Observed,
) -> PlannerAnswer:
    router = _Carriage.router
    if router is None:
        raise NotInstalled
    with spans.span("accept"):
        accepted = await in_database_thread(
            acceptance.call_accept,
            identify=identify,
            sent=sent,
            project_id=project_id,
            terms=terms,
            here=wake.PROCESS,
        )
    observed.accepted(call_id=accepted.call.call_id, organization_id=accepted.organization_id)
    if terms.respond_async and accepted.next is not Next.DONE:
        if accepted.next is Next.HERE:
            await router.deliver(accepted.connector_id, accepted.call)
        return _queued(accepted)
    with spans.span("deliver"):
        answer = accepted.answer or await _answer(router, accepted)
    return _told(accepted, answer)


async def _answer(router: Router, accepted: Accepted) -> Answer:
    call = accepted.call
    with router.pending.expect(call.call_id) as waiter:
        if accepted.next is Next.HERE:
            # Where the link was lost just now, the connector's next one takes the call: wait on.
            await router.deliver(accepted.connector_id, call)
        else:
            # It may have been answered between the commit and now.
            await router.on_answered(call.call_id)
        try:
            async with asyncio.timeout((call.deadline_at - datetime.now(UTC)).total_seconds()):
                return await waiter
        except TimeoutError:
            return await in_database_thread(
                progress.call_end_due, organization_id=accepted.organization_id, call_id=call.call_id
            )


def dispatch_operation_sync(
    *,
    principal: Principal,
    operation_name: str,
    project_id: str,
    parameters: Mapping[str, str],
    query: Mapping[str, Any],
    body: Mapping[str, Any] | None,
    idempotency_key: str | None = None,
    location: str | None = None,
    deadline_s: float | None = None,
    respond_async: bool = False,
    client_address: str | None = None,
) -> PlannerAnswer:
    """`dispatch_operation` for code without an event loop: the worker, commands, the admin's views. Blocks.

    Call it outside any transaction: the call must be committed before it can be answered. In a process that holds links
    it goes their way, in a context of its own; elsewhere call it with no tenant scope open."""
    sent = Sent(
        operation=operation_name,
        parameters=parameters,
        query=query,
        body=body,
        location=location,
        idempotency_key=idempotency_key,
    )
    with Observed(operation_name, None) as observed:
        terms = Terms(
            deadline_s=deadline_s,
            traceparent=observed.traceparent,
            respond_async=respond_async,
            client_address=client_address,
        )
        loop = _Carriage.loop
        if loop is not None and loop.is_running():
            dispatching = _dispatch_whole(lambda: principal, sent, project_id, terms, observed)
            # A machine may take its time, and there are fewer connections than there may be who wait.
            connections_give_back()
            # An empty context: the caller's tenant scope, an operator's perhaps, is not the call's.
            return contextvars.Context().run(asyncio.run_coroutine_threadsafe, dispatching, loop).result()
        return _dispatch_blocking(principal, sent, project_id, terms, observed)


async def _dispatch_whole(
    identify: Callable[[], Principal],
    sent: Sent,
    project_id: str,
    terms: Terms,
    observed: Observed,
) -> PlannerAnswer:
    """As `_dispatch`, with content read to its end: who blocks cannot read a stream."""
    answered = await _dispatch(identify, sent, project_id, terms, observed)
    content = answered.answer.content
    if content is None:
        return answered
    read = await content.read(max_bytes=limits.BODY_BYTES)
    view = contents.content_view(content.head, read, artifact_id=sent.parameters.get("artifact_id", ""))
    return replace(answered, answer=Answer(status=answered.answer.status, body=view))


def _dispatch_blocking(
    principal: Principal, sent: Sent, project_id: str, terms: Terms, observed: Observed
) -> PlannerAnswer:
    if _Carriage.conninfo is None:
        raise NotInstalled
    with wake.answers_heard(_Carriage.conninfo()) as listener:
        accepted = acceptance.call_accept(
            identify=lambda: principal, sent=sent, project_id=project_id, terms=terms, here=""
        )
        observed.accepted(call_id=accepted.call.call_id, organization_id=accepted.organization_id)
        if terms.respond_async and accepted.next is not Next.DONE:
            return _queued(accepted)
        if accepted.answer is not None:
            return _told(accepted, accepted.answer)
        call = accepted.call
        answer = selectors.answer_find(call.call_id)
        if answer is None and listener.wait(call.call_id, until=call.deadline_at):
            answer = selectors.answer_find(call.call_id)
        if answer is None:
            answer = progress.call_end_due(organization_id=accepted.organization_id, call_id=call.call_id)
        return _told(accepted, answer)


def _identify(principal: Principal | Callable[[], Principal]) -> Callable[[], Principal]:
    return (lambda: principal) if isinstance(principal, Principal) else principal


def _queued(accepted: Accepted) -> PlannerAnswer:
    call = accepted.call
    state = CallState.SENT if accepted.next is Next.HERE else CallState.ACCEPTED
    body = {"call_id": call.call_id, "state": state.value, "deadline_at": call.deadline_at.isoformat()}
    return PlannerAnswer(call_id=call.call_id, answer=Answer(status=ASYNC_STATUS, body=body))


def _told(accepted: Accepted, answer: Answer) -> PlannerAnswer:
    call_id = accepted.call.call_id
    try:
        answer.raised()
    except errors.RopewayError as error:
        error.attributes.setdefault("call_id", call_id)
        raise
    return PlannerAnswer(call_id=call_id, answer=answer, is_replay=accepted.next is Next.DONE)
