"""Pages by the clocks of the organization that one looks at."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from cloud.access import authorization
from cloud.permissions.roles import Role
from cloud.runs.models import RunSnapshot
from cloud.tenancy import organizations, scope
from cloud.tenancy.models import Organization
from local_daemon.protocol import ids
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.console.conftest import SignIn
from tests.integration.cloud.everything import everything_make
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

AUCKLAND = "Pacific/Auckland"


def live_by(tenant: Tenant, name: str) -> None:
    with scope.organization(tenant.id):
        grant = authorization.authorize(tenant.principal(), Scope.ORGANIZATION_WRITE)
        organizations.organization_update(grant=grant, time_zone=name, expected_version=None)


def shown(browser: Client) -> str:
    """When the workspace was made, as its list writes it."""
    page = browser.get(reverse("admin:tenancy_workspace_changelist")).content.decode()
    found = re.search(r"2026-07-0\d \d\d:\d\d:\d\d", page)
    assert found is not None
    return found.group()


def test_moments_are_by_the_organizations_clocks_and_an_operators_in_utc(acme: Tenant, sign_in: SignIn) -> None:
    with scope.organization(acme.id):
        acme.workspace.created_at = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
        acme.workspace.save(update_fields=["created_at"])
    browser = sign_in(acme)
    assert shown(browser) == "2026-07-01 22:30:00"
    live_by(acme, "Europe/Berlin")
    assert shown(browser) == "2026-07-02 00:30:00"
    assert shown(sign_in()) == "2026-07-01 22:30:00"


def test_an_owner_sets_the_clocks_where_its_name_is_set(acme: Tenant, sign_in: SignIn) -> None:
    browser = sign_in(acme)
    url = reverse("admin:tenancy_organization_rename", args=[acme.id])
    assert AUCKLAND in browser.get(url).content.decode()
    browser.post(url, {"name": "Acme", "time_zone": AUCKLAND, "version": "1"})
    assert browser.post(url, {"name": "Acme", "time_zone": "Mars/Olympus", "version": "2"}).status_code == 200
    with scope.organization(acme.id):
        assert Organization.objects.get().time_zone == AUCKLAND
    workspace = reverse("admin:tenancy_workspace_rename", args=[acme.workspace.id])
    assert AUCKLAND not in browser.get(workspace).content.decode()


def test_a_new_schedule_is_offered_those_clocks(acme: Tenant, sign_in: SignIn) -> None:
    live_by(acme, AUCKLAND)
    page = sign_in(acme, Role.ORG_ADMIN).get(reverse("admin:schedules_runschedule_make"))
    assert page.context["form"]["time_zone"].value() == AUCKLAND


def zone_where_it_is(hour: int) -> str:
    """A zone in which it is that hour now; its name counts the other way round."""
    offset = (hour - datetime.now(UTC).hour) % 24
    return f"Etc/GMT-{offset}" if offset <= 14 else f"Etc/GMT+{24 - offset}"


@pytest.mark.parametrize(("hour", "runs"), [(1, 0), (22, 1)])
def test_today_began_at_midnight_by_those_clocks(acme: Tenant, sign_in: SignIn, hour: int, runs: int) -> None:
    browser = sign_in(acme)
    everything_make(acme)
    live_by(acme, zone_where_it_is(hour))
    then = datetime.now(UTC) - timedelta(hours=4)
    with scope.organization(acme.id):
        RunSnapshot.objects.update(run_id=f"run_{ids.ulid(now_ms=int(then.timestamp() * 1000), randomness=0)}")
    page = browser.get(reverse("admin:index"))
    assert page.context["runs"].count == runs
    assert page.context["chart"].bars[-1].label.startswith(f"{hour:02}:")
    listed = browser.get(reverse("admin:runs_runsnapshot_changelist"), {"begun": "today"})
    assert listed.context["cl"].result_count == runs
