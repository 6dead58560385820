"""By whose clocks schedules fire, over the days on which these change."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cloud.access import authorization
from cloud.access import selectors as access
from cloud.permissions.roles import Role
from cloud.schedules import firing, run_schedules
from cloud.schedules.models import RunFiring, RunSchedule
from cloud.tenancy import organizations, scope
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db(transaction=True)

BERLIN = "Europe/Berlin"
TASK = {"goal": "Update the dependencies.", "executor": "codex"}


def dispatch(**_asked: Any) -> Any:
    return SimpleNamespace(body={"run": {"run_id": "run_" + "0" * 26}})


def live_by(tenant: Tenant, name: str) -> None:
    with scope.organization(tenant.id):
        grant = authorization.authorize(tenant.principal(), Scope.ORGANIZATION_WRITE)
        organizations.organization_update(grant=grant, time_zone=name, expected_version=None)


@pytest.fixture
def nightly(acme: Tenant, make_member: MakeMember) -> RunSchedule:
    """Half past two at night, by the clocks of the organization, which are Berlin's."""
    live_by(acme, BERLIN)
    return scheduled(acme, make_member)


def scheduled(tenant: Tenant, make_member: MakeMember, **facts: Any) -> RunSchedule:
    member = make_member(tenant, Role.ORG_ADMIN)
    with scope.organization(tenant.id):
        principal = access.user_principal(member.user, organization_id=tenant.id)
        grant = authorization.authorize(principal, Scope.RUNS_WRITE, project_id=tenant.project.id)
        asked = {"name": "nightly", "objective": "Keep up.", "tasks": [TASK], "cron": "30 2 * * *", **facts}
        return run_schedules.run_schedule_create(grant=grant, **asked)


def fired(tenant: Tenant, row: RunSchedule, since: datetime, hours: int) -> list[str]:
    """When it fires, with a worker that looks every quarter of an hour."""
    with scope.organization(tenant.id):
        RunSchedule.objects.filter(id=row.id).update(next_due_at=run_schedules.next_due(row, after=since))
    for quarter in range(hours * 4 + 1):
        firing.runs_fire(now=since + timedelta(minutes=15 * quarter), dispatch=dispatch)
    with scope.organization(tenant.id):
        times = RunFiring.objects.order_by("due_at").values_list("due_at", "state")
        return [f"{due:%d %H:%M} {state}" for due, state in times]


def test_a_schedule_that_names_no_clocks_has_its_organizations(acme: Tenant, nightly: RunSchedule) -> None:
    assert nightly.time_zone == BERLIN


def test_one_keeps_the_clocks_it_was_made_with(acme: Tenant, make_member: MakeMember, nightly: RunSchedule) -> None:
    live_by(acme, "Asia/Tokyo")
    with scope.organization(acme.id):
        assert RunSchedule.objects.get().time_zone == BERLIN
    assert scheduled(acme, make_member, time_zone="UTC").time_zone == "UTC"


def test_an_hour_that_is_skipped_is_not_due_and_the_next_day_is(acme: Tenant, nightly: RunSchedule) -> None:
    # 29 March 2026: 02:00 becomes 03:00.
    since = datetime(2026, 3, 28, 0, tzinfo=UTC)
    assert fired(acme, nightly, since, 49) == ["28 01:30 started", "30 00:30 started"]


def test_an_hour_that_comes_twice_is_due_once(acme: Tenant, nightly: RunSchedule) -> None:
    # 25 October 2026: 03:00 becomes 02:00.
    since = datetime(2026, 10, 24, 0, tzinfo=UTC)
    assert fired(acme, nightly, since, 50) == ["24 00:30 started", "25 00:30 started", "26 01:30 started"]
