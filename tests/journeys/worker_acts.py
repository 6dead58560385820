"""What the worker's tasks and the sign-in form write, once each in a process that journeys may kill; repeatable."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth import signals
from django.db import transaction

from cloud.access.principals import Principal
from cloud.accounts.models import User
from cloud.audit.models import AuditRollup, AuditRollupCursor, RollupPeriod
from cloud.connectors import presence
from cloud.connectors.models import Connector, Location, Presence
from cloud.dispatch import retention as calls
from cloud.dispatch.models import OperationCall
from cloud.polling import rounds
from cloud.polling.source import Item, Page
from cloud.runs import retention as feed
from cloud.runs.models import RunEvent
from cloud.schedules import audit_rollups
from cloud.tenancy import scope
from cloud.tenancy.models import Membership
from local_daemon.protocol import ids
from local_daemon.protocol.states import CallState

_LONG_AGO = datetime(2026, 1, 2, tzinfo=UTC)


def poll_begin(principal: Principal, project_id: UUID) -> None:
    rounds.source_poll(_Source(), organization_id=principal.organization_id, now=datetime.now(UTC))


def poll_page(principal: Principal, project_id: UUID) -> None:
    poll_begin(principal, project_id)


def poll_end(principal: Principal, project_id: UUID) -> None:
    poll_begin(principal, project_id)


def sign_in(principal: Principal, project_id: UUID) -> None:
    with scope.organization(principal.organization_id):
        member = Membership.objects.select_related("user").filter(organization_id=principal.organization_id).first()
    assert member is not None
    signals.user_logged_in.send(sender=User, request=None, user=member.user)


def person_tell(principal: Principal, project_id: UUID) -> None:
    User.objects.create_user(f"{uuid4().hex}@example.com", "a long password")


def audit_rollup(principal: Principal, project_id: UUID) -> None:
    """Every sealed event is counted, and once, whatever was killed before."""
    audit_rollups.run()
    with scope.organization(principal.organization_id), transaction.atomic():
        # The worker counts now and then too, and does not while its cursor is held.
        cursor = AuditRollupCursor.objects.select_for_update().get(organization_id=principal.organization_id)
        hours = AuditRollup.objects.filter(organization_id=principal.organization_id, period=RollupPeriod.HOUR)
        assert sum(hours.values_list("count", flat=True)) == cursor.seq > 0


def call_empty(principal: Principal, project_id: UUID) -> None:
    """A call of long ago."""
    with scope.organization(principal.organization_id):
        place = Location.objects.select_related("instance").filter(project_id=project_id).earliest("id")
        OperationCall.objects.create(
            id=ids.new_id(ids.IdPrefix.CALL), organization_id=principal.organization_id, project_id=project_id,
            location=place, connector_id=place.instance.connector_id, operation="runs.list", principal_kind="system",
            principal_id="journey", principal_label="journey", request_sha256="0" * 64, request="{}",
            state=CallState.ANSWERED, accepted_at=_LONG_AGO, deadline_at=_LONG_AGO, ended_at=_LONG_AGO,
            answer_status=200,
        )  # fmt: skip
        assert calls.calls_empty(principal.organization_id, before=_LONG_AGO + timedelta(hours=1)) >= 1


def feed_prune(principal: Principal, project_id: UUID) -> None:
    """A first event of long ago, whatever came since."""
    with scope.organization(principal.organization_id):
        place = Location.objects.filter(project_id=project_id).earliest("id")
        first = RunEvent.objects.earliest("id").id if RunEvent.objects.exists() else 1
        RunEvent.objects.create(
            id=first - 1, organization_id=principal.organization_id, project_id=project_id, location=place,
            log_id=ids.new_id(ids.IdPrefix.LOG), seq=1, event_type="run.created", at=_LONG_AGO, record={},
            taken_in_at=_LONG_AGO,
        )  # fmt: skip
        before = _LONG_AGO + timedelta(hours=1)
        assert feed.feed_prune(principal.organization_id, before=before, through=first - 1) >= 1


def presence_prune(principal: Principal, project_id: UUID) -> None:
    """Two changes of long ago."""
    facts = {"organization_id": principal.organization_id, "at": _LONG_AGO, "is_online": True, "epoch": 0}
    with scope.organization(principal.organization_id):
        machine = Connector.objects.earliest("id")
        for _ in range(2):
            Presence.objects.create(connector=machine, **facts)
        before = _LONG_AGO + timedelta(hours=1)
        assert presence.presence_prune(principal.organization_id, before=before) >= 1


class _Source:
    """A source of one page, never asked before."""

    every, overlap, name = timedelta(minutes=1), timedelta(0), "journey"

    def __init__(self) -> None:
        self.subject_id = uuid4().hex

    def fetch(self, cursor: dict[str, Any], *, overlap: timedelta) -> Page:
        return Page(items=[Item(key="one", told=None)])

    def apply(self, items: Any) -> None:
        """No effect of its own."""


ACTS: dict[str, Callable[[Principal, UUID], None]] = {
    act.__name__: act
    for act in (
        poll_begin,
        poll_page,
        poll_end,
        sign_in,
        person_tell,
        audit_rollup,
        call_empty,
        feed_prune,
        presence_prune,
    )
}
