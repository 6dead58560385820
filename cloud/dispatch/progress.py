"""What happens to a recorded call: sent, answered, its link lost, its time over. Each a compare-and-set with its audit.

Two processes may try the same; the row lets one. Blocking: called in database threads, with no tenant scope open.
Tests: tests/integration/cloud/dispatch/test_progress.py.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F, Min, Q
from django.db.models.functions import Coalesce, Now

from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.audit.models import Outcome
from cloud.connectors.actors import ConnectorActor
from cloud.connectors.models import Connector
from cloud.dispatch import acceptance, answers, lifecycle, wake
from cloud.dispatch.actors import CallActor
from cloud.dispatch.models import OperationCall
from cloud.limits import counting
from cloud.metrics import beats
from cloud.tenancy import scope
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors
from local_daemon.protocol.states import CallEvent, CallState
from relay.calls import Answer, Call

SWEEP_CALLS = 500
SWEEP_LOCK = 0x726F7065  # "rope": lets one process sweep at a time.

_WORD = re.compile(r"[0-9a-z_]{1,64}")

_OPEN = sorted(lifecycle.OPEN)
_ANSWERABLE = sorted(lifecycle.sources(CallEvent.ANSWER))
_ENDED = {
    CallState.EXPIRED: EventType.CALL_EXPIRED,
    CallState.UNRESOLVED: EventType.CALL_UNRESOLVED,
}
_CONSEQUENCE = {"gates.decide": EventType.GATE_DECIDED}
"""Operations whose success is an event of its own in the audit."""


def calls_take(*, organization_id: str, connector_id: str, epoch: int, limit: int) -> Sequence[Call]:
    """Record the connector's waiting calls as sent over its newest link, and hand them over, oldest first.

    What an earlier link of it had is taken back first: that link is gone."""
    with scope.organization(organization_id), recorded("call_send"):
        own = OperationCall.objects.filter(connector_id=connector_id)
        own.filter(state=CallState.SENT, link_epoch__lt=epoch).update(
            state=lifecycle.advance(CallState.SENT, CallEvent.LINK_LOST, was_sent=True)
        )
        waiting = own.filter(state=CallState.ACCEPTED, deadline_at__gt=datetime.now(UTC)).order_by("id")
        rows = list(waiting.select_for_update(skip_locked=True)[:limit])
        OperationCall.objects.filter(id__in=[row.id for row in rows]).update(
            state=lifecycle.advance(CallState.ACCEPTED, CallEvent.SEND, was_sent=False),
            sent_at=Coalesce(F("sent_at"), Now()),
            link_epoch=epoch,
            # Whoever waits may do so in any process.
            is_awaited_elsewhere=True,
        )
    return [acceptance.call_of(row) for row in rows]


def connectors_waiting(connector_ids: Sequence[str]) -> list[str]:
    """Which of these connectors have calls that wait to be taken."""
    with scope.operator():
        waiting = OperationCall.objects.filter(connector_id__in=connector_ids, state=CallState.ACCEPTED)
        return [str(found) for found in waiting.values_list("connector_id", flat=True).distinct()]


def calls_link_lost(*, organization_id: str, connector_id: str, epoch: int) -> int:
    """The link is gone: what was sent over it waits to be sent again; how many calls that were."""
    with scope.organization(organization_id), recorded("call_link_lost"):
        lost = OperationCall.objects.filter(connector_id=connector_id, state=CallState.SENT, link_epoch__lte=epoch)
        return lost.update(state=lifecycle.advance(CallState.SENT, CallEvent.LINK_LOST, was_sent=True))


_ANSWER = """
    UPDATE dispatch_operationcall
       SET state = %(answered)s, ended_at = %(now)s, answer_status = %(status)s, answer_code = %(code)s,
           answer = CASE WHEN is_answer_kept OR is_awaited_elsewhere THEN %(answer)s ELSE '' END
     WHERE id = %(call_id)s AND connector_id = %(connector_id)s AND state = ANY(%(answerable)s)
    RETURNING organization_id, project_id, location_id, operation, principal_kind, principal_id, principal_label,
              client_address, accepted_at, is_awaited_elsewhere
"""


def call_answer(*, organization_id: str, connector_id: str, call_id: str, answer: Answer) -> bool:
    """Record a machine's answer; its caller hears of it after the commit. False: the call has one, or is another
    connector's."""
    now = datetime.now(UTC)
    facts: dict[str, Any] = {
        "answered": CallState.ANSWERED.value,
        "now": now,
        "status": answer.status,
        "code": answers.answer_code(answer),
        "answer": "" if answer.content is not None else answers.answer_text(answer),
        "call_id": call_id,
        "connector_id": connector_id,
        "answerable": [state.value for state in _ANSWERABLE],
    }
    with scope.organization(organization_id), recorded("call_answer"):
        with connection.cursor() as cursor:
            cursor.execute(_ANSWER, facts)
            found = cursor.fetchone()
            columns = [column.name for column in cursor.description or ()]
        if found is None:
            _tell_unless_own(organization_id, connector_id, call_id)
            return False
        row = OperationCall(id=call_id, **dict(zip(columns, found, strict=True)))
        counting.call_answered(row, answer, now=now)
        _tell_answered(row, answer, now)
        if row.is_awaited_elsewhere:
            wake.tell_answered(call_id)
    return True


def _tell_unless_own(organization_id: str, connector_id: str, call_id: str) -> None:
    """An answer that is none to record: late, or a second one, unless the call was never this connector's."""
    if OperationCall.objects.filter(id=call_id, connector_id=connector_id).exists():
        return
    connector = Connector.objects.get(id=connector_id)
    audit.event_record(
        event_type=EventType.CALL_DENIED,
        principal=ConnectorActor.of(connector),
        target_kind="call",
        target_id=call_id,
        outcome=Outcome.ERROR,
        details={"code": errors.NotFound.code},
        organization_id=UUID(organization_id),
    )


def _tell_answered(row: OperationCall, answer: Answer, now: datetime) -> None:
    code = answers.answer_code(answer)
    details: dict[str, Any] = {"operation": row.operation, "status": answer.status}
    if code:
        details["code"] = code
    _tell(row, EventType.CALL_ANSWERED, Outcome.ERROR if code else Outcome.OK, now, details)
    consequence = _CONSEQUENCE.get(row.operation)
    if consequence is not None and not code:
        _tell(row, consequence, Outcome.OK, now, _gate_facts(answer.body))


def _gate_facts(body: Any) -> dict[str, str]:
    """What the audit keeps of a decided gate: short words, whatever the machine put in their place."""
    gate = body.get("gate") if isinstance(body, dict) else None
    told = gate if isinstance(gate, dict) else {}
    words = {name: told.get(name) for name in ("gate_id", "state", "digest", "step_id")}
    return {name: word for name, word in words.items() if isinstance(word, str) and _WORD.fullmatch(word)}


def _tell(row: OperationCall, event_type: EventType, outcome: str, now: datetime, details: dict[str, Any]) -> None:
    audit.event_record(
        event_type=event_type,
        principal=CallActor.of(row),
        target_kind="location",
        target_id=row.location_id,
        project_id=row.project_id,
        call_id=row.id,
        outcome=outcome,
        duration_ms=round((now - row.accepted_at).total_seconds() * 1000, 3),
        client_address=row.client_address,
        details=details,
    )


def call_end_due(*, organization_id: UUID, call_id: str) -> Answer:
    """The caller's time is over: end the call unless it was answered meanwhile; what came of it."""
    with scope.organization(organization_id), recorded("call_deadline"):
        row = OperationCall.objects.select_for_update().get(id=call_id)
        if row.state in lifecycle.OPEN and row.deadline_at <= datetime.now(UTC):
            _end(row)
    if row.state in lifecycle.OPEN:
        # Another caller of the same call has more time; this one has not.
        return answers.answer_of(OperationCall(id=call_id, state=CallState.UNRESOLVED))
    return answers.answer_of(row)


def calls_sweep() -> datetime | None:
    """End every call whose time is over, whoever made it; when the next one is due. One process does this at a time."""
    with scope.operator():
        with recorded("call_sweep"):
            beats.beat(beats.Loop.SWEEPER)
            if _may_sweep():
                due = OperationCall.objects.filter(state__in=_OPEN, deadline_at__lte=datetime.now(UTC))
                for row in due.select_for_update(skip_locked=True).order_by("deadline_at")[:SWEEP_CALLS]:
                    _end(row)
        open_calls = OperationCall.objects.filter(state__in=_OPEN, deadline_at__gt=datetime.now(UTC))
        next_due: datetime | None = open_calls.aggregate(at=Min("deadline_at"))["at"]
    return next_due


def _may_sweep() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SWEEP_LOCK])
        row = cursor.fetchone()
    return bool(row and row[0])


def _end(row: OperationCall) -> None:
    before = CallState(row.state)
    after = lifecycle.advance(before, CallEvent.DEADLINE, was_sent=row.sent_at is not None)
    now = datetime.now(UTC)
    if not OperationCall.objects.filter(Q(id=row.id) & Q(state=before)).update(state=after, ended_at=now):
        return
    row.state, row.ended_at = after, now
    outcome = Outcome.UNKNOWN if after is CallState.UNRESOLVED else Outcome.ERROR
    _tell(row, _ENDED[after], outcome, now, {"operation": row.operation})
    wake.tell_answered(row.id)
