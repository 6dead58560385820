from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection

from cloud.audit import aggregation, seal, selectors
from cloud.audit.event_types import EventType
from cloud.audit.models import AuditEvent, RollupPeriod
from cloud.audit.selectors import EventFilter
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

Tell = Callable[..., UUID]


def targets(rows: list[AuditEvent]) -> list[str]:
    return [row.target_id for row in rows]


def test_a_page_begins_where_the_last_one_ended(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id):
        told = sorted(tell(target_id=str(number)) for number in range(5))[::-1]
        asked = EventFilter(event_type="call:accepted")
        first = selectors.event_page(acme.id, limit=3, asked=asked)
        second = selectors.event_page(acme.id, limit=3, before=first[-1].id, asked=asked)
    assert ([row.id for row in first], [row.id for row in second]) == (told[:3], told[3:])


def test_events_are_found_by_who_what_where_when_and_how_it_went(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id):
        before = datetime.now(UTC)
        wanted = tell(
            event_type=EventType.CALL_ANSWERED,
            target_id="here",
            call_id="call_1",
            outcome="error",
            project_id=acme.project.id,
        )
        tell(target_id="elsewhere")
        for asked in (
            EventFilter(event_type="call:answered"),
            EventFilter(actor_id=AuditEvent.objects.get(id=wanted).actor_id),
            EventFilter(target_id="here"),
            EventFilter(call_id="call_1"),
            EventFilter(failed_only=True),
            EventFilter(project_ids=[acme.project.id], event_type="call:answered"),
            EventFilter(
                since=before - timedelta(seconds=1), until=datetime.now(UTC) + timedelta(seconds=1), target_id="here"
            ),
        ):
            assert targets(selectors.event_page(acme.id, limit=10, asked=asked)) == ["here"]
        for asked in (EventFilter(until=before - timedelta(minutes=1)), EventFilter(project_ids=[])):
            assert selectors.event_page(acme.id, limit=10, asked=asked) == []


_MANY = """
    INSERT INTO audit_auditevent (id, organization_id, at, event_type, actor_kind, actor_id, actor_label, target_kind,
           target_id, call_id, outcome, details)
    SELECT gen_random_uuid(), %s, now(), 'call:sent', 'token', n, '', 'call', n, '', 'ok', '{}'
      FROM generate_series(1, 2000) n
"""


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        (EventFilter(), "audit_event_page"),
        (EventFilter(event_type="call:accepted"), "audit_event_type"),
        (EventFilter(actor_id="a"), "audit_event_actor"),
        (EventFilter(target_id="a"), "audit_event_target"),
        (EventFilter(failed_only=True), "audit_event_not_ok"),
    ],
)
def test_every_filter_has_its_index(acme: Tenant, asked: EventFilter, index: str) -> None:
    with scope.organization(acme.id), connection.cursor() as cursor:
        # On an empty table a planner prefers to read it whole, and one index is as good as the other.
        cursor.execute(_MANY, [acme.id])
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")
        plan = selectors.events(acme.id, asked)[:50].explain()
    assert index in plan


def test_a_chart_shows_quiet_hours_too(acme: Tenant, tell: Tell) -> None:
    now = datetime.now(UTC)
    with scope.organization(acme.id):
        tell(event_type=EventType.CALL_ANSWERED)
        tell(event_type=EventType.CALL_ANSWERED, outcome="error")
        seal.organization_seal(acme.id)
        aggregation.rollups_aggregate(acme.id)
        points = selectors.rollup_chart(
            acme.id,
            period=RollupPeriod.HOUR,
            since=now - timedelta(hours=3),
            until=now + timedelta(seconds=1),
            event_types=["call:answered"],
        )
        totals = selectors.rollup_totals(acme.id, since=now, until=now + timedelta(days=1))
    assert [(point.ok, point.error) for point in points] == [(0, 0), (0, 0), (0, 0), (1, 1)]
    assert ("call:answered", "error", 1) in totals


def test_a_chart_has_its_limit(acme: Tenant) -> None:
    now = datetime.now(UTC)
    with scope.organization(acme.id), pytest.raises(ValueError, match="points"):
        selectors.rollup_chart(acme.id, period=RollupPeriod.HOUR, since=now - timedelta(days=60), until=now)


def test_who_waits_to_be_sealed_is_found_over_all_tenants(acme: Tenant, globex: Tenant) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=30)
    with scope.organization(globex.id):
        seal.organization_seal(globex.id)
    with scope.operator():
        assert selectors.organizations_unsealed(now=soon) == [acme.id]
        assert selectors.organizations_unsealed(now=soon - timedelta(minutes=1)) == []
