"""The dashboard and the sidebar: each figure leads to exactly what it counts, and who is shut out is told why."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from cloud.access import authorization
from cloud.connectors import links, services
from cloud.connectors.models import Connector, Location
from cloud.permissions.roles import Role
from cloud.polling.models import ConnectorHealth, PollState
from cloud.runs.models import RunSnapshot, StepSnapshot
from cloud.tenancy import organizations, scope
from local_daemon.protocol import ids
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.console.conftest import SignIn
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def place(acme: Tenant, make_connector: Callable[..., Connector]) -> Location:
    """A repository of a machine that is online."""
    machine = Machine()
    connector = make_connector(acme, machine)
    opened = links.link_open(connector_id=connector.id, link_owner="process-1")
    advertised = machine.advertisement("website")
    (location,) = services.advertise_apply(connector_id=connector.id, epoch=opened.epoch, advertised=advertised)
    return location


def begun(place: Location, at: datetime, number: int, state: str) -> None:
    """A run and its step, of that time."""
    when = {"now_ms": int(at.timestamp() * 1000), "randomness": number}
    run_id, step_id = f"run_{ids.ulid(**when)}", f"step_{ids.ulid(**when)}"
    facts: dict[str, Any] = {
        "organization_id": place.organization_id, "project_id": place.project_id, "location": place, "as_of": at,
        "seq": number, "view": {}, "run_id": run_id,
    }  # fmt: skip
    RunSnapshot.objects.create(**facts, state="open")
    StepSnapshot.objects.create(**facts, step_id=step_id, state=state)


@pytest.fixture
def worked(acme: Tenant, place: Location) -> None:
    """Two runs of today that went wrong, one that did not, and three of before."""
    now = datetime.now(UTC)
    with scope.organization(acme.id):
        for number, state in enumerate(("failed", "needs_attention", "completed"), start=1):
            begun(place, now, number, state)
            begun(place, now - timedelta(days=3), number + 10, state)


def figure(page: Any, title: str) -> tuple[str, int]:
    """Where a figure leads, and what it says."""
    found = re.search(rf'href="([^"]+)"><span>{title}</span><strong>(\d+)', page.content.decode())
    assert found, page.content.decode()[-4000:]
    return found[1].replace("&amp;", "&"), int(found[2])


@pytest.mark.parametrize(("title", "count"), [("Runs today", 3), ("Steps failed today", 2)])
@pytest.mark.parametrize("who", ["owner", "operator"])
def test_a_figure_leads_to_exactly_what_it_counts(
    acme: Tenant, worked: None, sign_in: SignIn, title: str, count: int, who: str
) -> None:
    browser = sign_in(acme) if who == "owner" else sign_in()
    address, told = figure(browser.get(reverse("admin:index")), title)
    assert told == count
    assert len(browser.get(address).context["cl"].result_list) == count


def test_a_machines_health_is_told_where_machines_are(acme: Tenant, place: Location, sign_in: SignIn) -> None:
    with scope.organization(acme.id):
        machine = Connector.objects.get()
        ConnectorHealth.objects.create(
            organization_id=acme.id, connector=machine, health="degraded", since=datetime.now(UTC), executors=["codex"]
        )
    browser = sign_in(acme)
    assert 'data-state="degraded"' in browser.get(reverse("admin:index")).content.decode()
    listed = browser.get(reverse("admin:connectors_connector_changelist")).content.decode()
    assert "degraded since" in listed
    assert "codex" in listed
    for health, found in (("degraded", 1), ("healthy", 0), ("offline", 0)):
        page = browser.get(reverse("admin:connectors_connector_changelist"), {"health": health})
        assert len(page.context["cl"].result_list) == found
    with scope.organization(acme.id):
        Connector.objects.update(link_owner="")
    assert "degraded since" not in browser.get(reverse("admin:connectors_connector_changelist")).content.decode()


def test_operators_see_what_is_polled_and_nobody_else_does(acme: Tenant, globex: Tenant, sign_in: SignIn) -> None:
    for tenant, failures in ((acme, 0), (globex, 3)):
        with scope.organization(tenant.id):
            PollState.objects.create(
                organization_id=tenant.id, source="health", next_poll_at=datetime.now(UTC), failures_in_a_row=failures
            )
    path = reverse("admin:polling_pollstate_changelist")
    operator = sign_in()
    assert len(operator.get(path).context["cl"].result_list) == 2
    (failing,) = operator.get(path, {"going": "failing"}).context["cl"].result_list
    assert failing.organization_id == globex.id
    assert sign_in(acme).get(path).status_code == 403


@pytest.mark.parametrize("event", ["suspend", "delete"])
def test_who_is_shut_out_with_their_organization_is_told_by_whom_it_is_resumed(
    acme: Tenant, sign_in: SignIn, event: str
) -> None:
    browser = sign_in(acme)
    _end(acme, event)
    page = browser.get(reverse("admin:index")).content.decode()
    assert "not a member of any organization" not in page
    assert re.search(r"Acme\s+is (suspended|deleted, and purged on)", page)
    assert "until an operator of this installation resumes it" in page


def _end(tenant: Tenant, event: str) -> None:
    service = {"suspend": organizations.organization_suspend, "delete": organizations.organization_delete}[event]
    with scope.organization(tenant.id):
        grant = authorization.authorize(tenant.principal(), Scope.ORGANIZATION_WRITE)
        service(grant=grant, expected_version=None)


def test_a_new_organization_is_led_from_step_to_step(
    acme: Tenant, sign_in: SignIn, make_connector: Callable[..., Connector]
) -> None:
    browser = sign_in(acme)
    assert steps(browser) == [
        ("Make a project", "done"), ("Claim a machine", "to do"), ("Mint a token", "to do"), ("Start a run", "to do"),
    ]  # fmt: skip
    make_connector(acme)
    asked = {"name": "planner", "kind": "planner", "days": "30", "scopes": ["runs:read"]}
    browser.post(reverse("admin:access_token_mint"), asked)
    assert [state for _, state in steps(browser)] == ["done", "done", "done", "to do"]
    for address in re.findall(r'<li>.*?<a class="console-link" href="([^"]+)"', _beginning(browser)):
        assert browser.get(address).status_code == 200


def test_where_work_began_and_for_who_may_begin_none_no_steps_are_shown(
    acme: Tenant, sign_in: SignIn, worked: None
) -> None:
    assert _beginning(sign_in(acme)) == ""


def test_who_only_looks_is_given_no_steps(acme: Tenant, sign_in: SignIn) -> None:
    assert _beginning(sign_in(acme, Role.PROJECT_VIEWER)) == ""
    assert _beginning(sign_in()) == ""


def _beginning(browser: Client) -> str:
    page = browser.get(reverse("admin:index")).content.decode()
    return page.partition('id="beginning"')[2].partition("</section>")[0]


def steps(browser: Client) -> list[tuple[str, str]]:
    found = re.findall(r"<li><span[^>]*>(done|to do)</span> (?:<a[^>]*>)?([^<]+)", _beginning(browser))
    return [(title.strip(), state) for state, title in found]


def test_the_sidebar_leads_to_the_organization_and_to_presence(acme: Tenant, sign_in: SignIn) -> None:
    page = sign_in(acme).get(reverse("admin:index")).content.decode()
    for name in ("tenancy_organization", "connectors_presence"):
        assert reverse(f"admin:{name}_changelist") in page
    assert reverse("admin:polling_pollstate_changelist") not in page
    operators = sign_in().get(reverse("admin:index")).content.decode()
    for name in ("accounts_user", "polling_pollstate"):
        assert reverse(f"admin:{name}_changelist") in operators
