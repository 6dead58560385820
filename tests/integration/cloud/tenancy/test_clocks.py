"""By whose clocks an organization lives: who sets them, and what a day of its audit is by them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from cloud.access import authorization
from cloud.access.principals import Grant
from cloud.audit import selectors as audit
from cloud.audit.models import AuditEvent, AuditRollup, RollupPeriod
from cloud.operations import table
from cloud.permissions.roles import Role
from cloud.tenancy import clocks, organizations, scope
from cloud.tenancy.models import Organization
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

BERLIN = "Europe/Berlin"


def grant_of(tenant: Tenant, role: Role = Role.ORG_OWNER) -> Grant:
    return authorization.authorize(tenant.principal(role), Scope.ORGANIZATION_WRITE)


def live_by(tenant: Tenant, name: str) -> Organization:
    with scope.organization(tenant.id):
        return organizations.organization_update(grant=grant_of(tenant), time_zone=name, expected_version=None)


def test_an_organization_lives_by_utc_until_its_owner_says_otherwise(acme: Tenant, globex: Tenant) -> None:
    with scope.organization(acme.id):
        assert clocks.zone_of(acme.id) == "UTC"
    assert live_by(acme, BERLIN).version == 2
    with scope.organization(acme.id):
        assert clocks.zone_of(acme.id) == BERLIN
        told = AuditEvent.objects.get(event_type="organization:updated")
        assert told.details == {"time_zone": ["UTC", BERLIN]}
        with pytest.raises(errors.Forbidden):
            grant_of(acme, Role.ORG_ADMIN)
    with scope.organization(globex.id):
        assert clocks.zone_of(globex.id) == "UTC"


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "europe/berlin", "localtime", "../etc/passwd", "+02:00"])
def test_what_is_no_place_has_no_clocks(acme: Tenant, name: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        live_by(acme, name)


def test_a_zone_that_this_machine_does_not_know_any_more_is_utc() -> None:
    assert clocks.zone("Mars/Olympus") == ZoneInfo("UTC")


def test_the_audit_is_counted_by_days_of_those_clocks(acme: Tenant) -> None:
    hours = {"2026-10-24T21:00": 1, "2026-10-24T22:00": 2, "2026-10-25T22:00": 4, "2026-10-25T23:00": 8}
    with scope.organization(acme.id):
        for hour, count in hours.items():
            AuditRollup.objects.create(
                organization_id=acme.id,
                period=RollupPeriod.HOUR,
                bucket_start=datetime.fromisoformat(hour).replace(tzinfo=UTC),
                event_type="call:answered",
                outcome="ok",
                count=count,
                aggregated_at=datetime.now(UTC),
            )
        rows, _ = audit.rollup_page(acme.id, period=RollupPeriod.DAY, limit=2, time_zone=BERLIN)
    # The 26th, and the 25th, which has 25 hours.
    assert [(f"{row.bucket_start:%Y-%m-%dT%H:%M}", row.count) for row in rows] == [
        ("2026-10-25T23:00", 8),
        ("2026-10-24T22:00", 6),
    ]
    live_by(acme, BERLIN)
    found = table.perform("audit.rollup", principal=acme.principal(), arguments={"period": "day"}).model_dump()
    assert [row["count"] for row in found["items"]] == [8, 6, 1]
