"""A planner's call becomes a row: authenticated, authorized, located, recorded and audited, in one hop and one commit.

It decides where the call goes next (over a link of this process, to another process, into the queue) but moves nothing.
A call is counted before it is looked at; one that does not hold leaves nothing else, and a denial is audited. Blocking:
called by `services` in a database thread, with no tenant scope open. Tests:
tests/integration/cloud/dispatch/test_progress.py.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

from django.db import IntegrityError

from cloud.access import authorization
from cloud.access.principals import Principal
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.audit.models import Outcome
from cloud.connectors import selectors as connectors
from cloud.connectors.models import Location
from cloud.dispatch import answers, lifecycle, requests, wake
from cloud.dispatch.actors import CallActor
from cloud.dispatch.models import OperationCall
from cloud.dispatch.requests import CallRequest, Sent
from cloud.limits import admission, run_starts
from cloud.tenancy import scope
from cloud.tenancy.transaction import execute_later, recorded
from local_daemon.protocol import errors, ids, limits
from local_daemon.protocol.states import CallEvent, CallState
from relay.calls import Answer, Call

ASYNC_DEADLINE_S = 24 * 3600
"""How long a call waits in the queue for its machine, where the planner asked for that and named no shorter time."""

# On the path of every call: the ORM would take longer than the database.
_COLUMNS = tuple(field.column for field in OperationCall._meta.concrete_fields if field.column)
_INSERT = f"INSERT INTO dispatch_operationcall ({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})"  # noqa: S608


class Next(StrEnum):
    """What happens to a call after it was recorded."""

    HERE = "here"  # recorded as sent over a link of this process: hand it over
    ELSEWHERE = "elsewhere"  # the process that holds the link was woken, or the connector's next link will take it
    DONE = "done"  # its answer is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A recorded call, and what happens to it next. `answer` stands with Next.DONE."""

    call: Call
    organization_id: UUID
    connector_id: str
    next: Next
    answer: Answer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a call is to be carried, beside what it asks."""

    deadline_s: float | None = None
    traceparent: str | None = None
    client_address: str | None = None
    respond_async: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrival:
    """Everything about a call that is not its row."""

    principal: Principal
    request: CallRequest
    terms: Terms
    location: Location
    sha256: str
    here: str
    now: datetime

    @property
    def deadline_at(self) -> datetime:
        operation = self.request.operation
        if self.terms.respond_async:
            longest, usual = float(ASYNC_DEADLINE_S), float(ASYNC_DEADLINE_S)
        else:
            longest, usual = operation.deadline_s_max, operation.deadline_s
        return self.now + timedelta(seconds=min(self.terms.deadline_s or usual, longest))

    @property
    def is_offline(self) -> bool:
        return not self.location.instance.connector.link_owner

    @property
    def is_refused(self) -> bool:
        return self.is_offline and not self.terms.respond_async

    @property
    def is_here(self) -> bool:
        return not self.is_offline and self.location.instance.connector.link_owner == self.here


def call_accept(
    *,
    identify: Callable[[], Principal],
    sent: Sent,
    project_id: str,
    terms: Terms,
    here: str,
) -> Accepted:
    """Record a call, or find the earlier one that its key names. `here` names this process if it holds links.

    Raises Unauthenticated, RateLimited, UnsupportedOperation, InvalidRequest, PayloadTooLarge, QuotaExceeded,
    Forbidden, NotFound, AmbiguousLocation, IdempotencyConflict, and ConnectorOffline when the machine is away and the
    planner did not ask to queue."""
    principal = identify()
    with scope.organization(principal.organization_id):
        admission.call_count(principal, sent.operation, client_address=terms.client_address)
        request = requests.request_parse(sent)
        refusal = _refusal(principal, request, terms)
        location = _authorized_location(principal, request, project_id, terms)
        arrival = _Arrival(
            principal=principal,
            request=request,
            terms=terms,
            location=location,
            sha256=request.digest(project_id),
            here=here,
            now=datetime.now(UTC),
        )
        if refusal is not None:
            return _record(arrival, find_earlier=partial(_earlier_or_refused, refusal=refusal))
        try:
            # A key is new nearly always: rather than look, let the database say that it is not.
            return _record(arrival, find_earlier=_earlier if _may_be_refused_anew(arrival) else _no_earlier)
        except IntegrityError:
            if not request.idempotency_key:
                raise
            return _record(arrival, find_earlier=_earlier)


def _refusal(principal: Principal, request: CallRequest, terms: Terms) -> errors.QuotaExceeded | None:
    """Why nothing new may be begun, for a call whose key may name what was begun before: that must be told all the
    same. Raises QuotaExceeded for every other call."""
    try:
        admission.quotas_check(principal, request.operation, client_address=terms.client_address)
    except errors.QuotaExceeded as refusal:
        if not (request.idempotency_key and request.operation.mutates):
            raise
        return refusal
    return None


def _authorized_location(principal: Principal, request: CallRequest, project_id: str, terms: Terms) -> Location:
    try:
        try:
            project = UUID(project_id)
        except ValueError:
            raise errors.NotFound from None
        authorization.authorize_reach(principal, request.operation.scope, project_id=project)
        return connectors.location_resolve(project_id=project, selector=request.location)
    except (errors.Forbidden, errors.NotFound) as denial:
        with recorded("call_deny"):
            audit.event_record(
                event_type=EventType.CALL_DENIED,
                principal=principal,
                target_kind="project",
                # Whatever was sent stands here; PostgreSQL's text holds anything but NUL.
                target_id=project_id[:64].replace("\x00", "\ufffd"),
                outcome=Outcome.ERROR,
                client_address=terms.client_address,
                details={"operation": request.operation.name, "code": denial.code},
            )
        raise


def _record(arrival: _Arrival, *, find_earlier: Callable[[_Arrival], OperationCall | None]) -> Accepted:
    offline = None
    with recorded("call_accept"):
        earlier = find_earlier(arrival)
        if earlier is None:
            row = _row_new(arrival)
        elif _may_go_again(earlier):
            row = _row_again(earlier, arrival)
        else:
            return _joined(earlier)
        if arrival.is_refused:
            offline = errors.ConnectorOffline(retry_after_s=limits.RETRY_AFTER_S["connector_offline"], call_id=row.id)
        else:
            run_starts.run_start(
                principal=arrival.principal,
                operation=arrival.request.operation,
                call_id=row.id,
                now=arrival.now,
                expires_at=row.deadline_at,
            )
        _tell(row, arrival, offline)
    if offline is not None:
        raise offline
    return _accepted(row, Next.HERE if row.state == CallState.SENT else Next.ELSEWHERE)


def _accepted(row: OperationCall, then: Next, answer: Answer | None = None) -> Accepted:
    return Accepted(
        call=call_of(row),
        organization_id=row.organization_id,
        connector_id=str(row.connector_id),
        next=then,
        answer=answer,
    )


def _may_be_refused_anew(arrival: _Arrival) -> bool:
    """Whether a limit may refuse the call: what its key already started must be told all the same."""
    return bool(arrival.request.idempotency_key) and run_starts.is_counted(arrival.principal, arrival.request.operation)


def _no_earlier(_arrival: _Arrival) -> None:
    return None


def _earlier(arrival: _Arrival) -> OperationCall | None:
    """The call this one repeats, locked. A key is remembered for a published time; afterwards it is free again."""
    row = (
        OperationCall.objects.select_for_update()
        .filter(
            organization_id=arrival.principal.organization_id,
            principal_kind=arrival.principal.kind,
            principal_id=str(arrival.principal.id),
            idempotency_key=arrival.request.idempotency_key,
        )
        .first()
    )
    if row is None:
        return None
    if row.accepted_at < arrival.now - timedelta(seconds=limits.IDEMPOTENCY_S):
        OperationCall.objects.filter(id=row.id).update(idempotency_key="")
        return None
    if row.request_sha256 != arrival.sha256:
        raise errors.IdempotencyConflict(call_id=row.id)
    return row


def _earlier_or_refused(arrival: _Arrival, *, refusal: errors.QuotaExceeded) -> OperationCall:
    """The call this one repeats, where that is under way or answered for good. Raises the refusal otherwise."""
    earlier = _earlier(arrival)
    if earlier is None or _may_go_again(earlier):
        raise refusal
    return earlier


def _may_go_again(earlier: OperationCall) -> bool:
    return lifecycle.may_go_again(CallState(earlier.state), is_retryable=answers.is_retryable(earlier.answer_code))


def _row_new(arrival: _Arrival) -> OperationCall:
    request, location, principal = arrival.request, arrival.location, arrival.principal
    assert location.project_id is not None  # It was found by its project.
    parameters = {"repository_id": location.repository_id, **request.parameters}
    row = OperationCall(
        id=ids.new_id(ids.IdPrefix.CALL),
        organization_id=principal.organization_id,
        project_id=location.project_id,
        location_id=location.id,
        connector_id=location.instance.connector_id,
        operation=request.operation.name,
        principal_kind=principal.kind,
        principal_id=str(principal.id),
        principal_label=principal.label[:200],
        client_address=arrival.terms.client_address,
        traceparent=(arrival.terms.traceparent or "")[:200],
        # A read has nothing to remember.
        idempotency_key=request.idempotency_key if request.operation.mutates else "",
        request_sha256=arrival.sha256,
        request=json.dumps(
            {"parameters": parameters, "query": request.query, "body": request.body}, separators=(",", ":")
        ),
        state=CallState.ACCEPTED,
        accepted_at=arrival.now,
        is_answer_kept=request.operation.mutates or arrival.terms.respond_async,
    )
    _set_off(row, arrival)
    execute_later(_INSERT, [getattr(row, column) for column in _COLUMNS])
    return row


def _row_again(row: OperationCall, arrival: _Arrival) -> OperationCall:
    """The earlier call goes again, to where it went before: what it may have done there is remembered there."""
    if row.location_id != arrival.location.id:
        raise errors.ConnectorOffline(
            "The place this call went to is not shared now; retry when it is.", call_id=row.id
        )
    if arrival.is_refused:
        return row
    row.state = CallState.ACCEPTED
    row.accepted_at, row.ended_at = arrival.now, None
    row.answer_status, row.answer_code, row.answer = None, "", ""
    _set_off(row, arrival)
    row.save()
    return row


def _set_off(row: OperationCall, arrival: _Arrival) -> None:
    """Where the call goes first. Recorded as sent before any byte of it leaves, in the commit that records it."""
    row.deadline_at = arrival.deadline_at
    was_sent = row.sent_at is not None
    if arrival.is_refused:
        row.state = lifecycle.advance(CallState(row.state), CallEvent.CANCEL, was_sent=was_sent)
        row.ended_at = arrival.now
    elif arrival.is_here:
        row.state = lifecycle.advance(CallState(row.state), CallEvent.SEND, was_sent=was_sent)
        row.sent_at = row.sent_at or arrival.now
        row.link_epoch = arrival.location.instance.connector.link_epoch
        row.is_awaited_elsewhere = False
    else:
        row.is_awaited_elsewhere = not arrival.terms.respond_async
        wake.tell_waiting(arrival.location.instance.connector)


def _joined(earlier: OperationCall) -> Accepted:
    if earlier.state == CallState.ANSWERED:
        return _accepted(earlier, Next.DONE, answers.answer_of(earlier))
    OperationCall.objects.filter(id=earlier.id).update(is_awaited_elsewhere=True)
    return _accepted(earlier, Next.ELSEWHERE)


def _tell(row: OperationCall, arrival: _Arrival, offline: errors.ConnectorOffline | None) -> None:
    details: dict[str, Any] = {
        "operation": row.operation,
        "parameters": dict(arrival.request.parameters),
        "repository_id": arrival.location.repository_id,
        "request_sha256": row.request_sha256,
    }
    if offline is not None:
        details["code"] = offline.code
    audit.event_record(
        event_type=EventType.CALL_CANCELLED if offline is not None else EventType.CALL_ACCEPTED,
        principal=CallActor.of(row),
        target_kind="location",
        target_id=row.location_id,
        project_id=row.project_id,
        call_id=row.id,
        outcome=Outcome.ERROR if offline is not None else Outcome.OK,
        client_address=row.client_address,
        details=details,
    )


def call_of(row: OperationCall) -> Call:
    """What travels of a row."""
    request = json.loads(row.request) if row.request else {"parameters": {}, "query": {}, "body": None}
    return Call(
        call_id=row.id,
        operation=row.operation,
        parameters=request["parameters"],
        query=request["query"],
        body=request["body"],
        deadline_at=row.deadline_at,
        actor=f"{row.principal_kind}:{row.principal_label}"[: limits.TITLE_CHARACTERS],
        traceparent=row.traceparent or None,
    )
