from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from cloud.audit import aggregation, seal, selectors
from cloud.audit.event_types import EventType
from cloud.audit.models import AuditEvent, AuditRollup, RollupPeriod
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

Tell = Callable[..., UUID]


def counts(period: RollupPeriod) -> dict[tuple[str, str], int]:
    rows = AuditRollup.objects.filter(period=period)
    found: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row.event_type, row.outcome)
        found[key] = found.get(key, 0) + row.count
    return found


def test_each_sealed_event_is_counted_once_by_hour_and_by_day(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id):
        for outcome in ("ok", "ok", "error"):
            tell(event_type=EventType.CALL_ANSWERED, outcome=outcome)
        seal.organization_seal(acme.id)
        assert aggregation.rollups_aggregate(acme.id) == 6
        assert aggregation.rollups_aggregate(acme.id) == 0
        for period in RollupPeriod:
            assert counts(period)[("call:answered", "ok")] == 2
            assert counts(period)[("call:answered", "error")] == 1
            assert sum(counts(period).values()) == 6


def test_what_is_not_sealed_is_not_counted_yet(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id):
        tell()
        assert aggregation.rollups_aggregate(acme.id) == 0
        seal.organization_seal(acme.id)
        assert aggregation.rollups_aggregate(acme.id) == 4


def test_a_late_event_is_counted_in_the_hour_it_happened(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id):
        seal.organization_seal(acme.id)
        aggregation.rollups_aggregate(acme.id)
        past = datetime.now(UTC) - timedelta(days=2)
        AuditEvent.objects.create(
            organization_id=acme.id,
            at=past,
            event_type="call:accepted",
            actor_kind="system",
            target_kind="call",
            target_id="late",
        )
        seal.organization_seal(acme.id)
        assert aggregation.rollups_aggregate(acme.id) == 1
        hour = AuditRollup.objects.get(period=RollupPeriod.HOUR, event_type="call:accepted")
    assert hour.bucket_start == past.replace(minute=0, second=0, microsecond=0)


def test_counting_in_small_batches_counts_the_same(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id):
        for _ in range(10):
            tell()
        seal.organization_seal(acme.id)
        while aggregation.rollups_aggregate(acme.id, limit=3):
            pass
        assert counts(RollupPeriod.DAY)[("call:accepted", "ok")] == 10


def test_a_page_of_counts_says_when_they_were_made(acme: Tenant) -> None:
    with scope.organization(acme.id):
        assert selectors.rollup_page(acme.id, period=RollupPeriod.HOUR, limit=10) == ([], None)
        seal.organization_seal(acme.id)
        aggregation.rollups_aggregate(acme.id)
        rows, counted_at = selectors.rollup_page(acme.id, period=RollupPeriod.HOUR, limit=10)
    assert {row.event_type for row in rows} == {"organization:created", "workspace:created", "project:created"}
    assert counted_at is not None
