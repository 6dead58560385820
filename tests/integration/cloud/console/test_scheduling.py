"""Scheduled runs on pages: in whose name, at which times, and what somebody sees before it is kept."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django_q.models import Schedule

from cloud.audit.models import AuditEvent
from cloud.connectors import links, services
from cloud.connectors.models import Connector
from cloud.permissions.roles import Role
from cloud.schedules import declarations
from cloud.schedules.models import FiringState, RunFiring, RunSchedule, ScheduledTask
from cloud.tenancy import scope
from cloud.tenancy import services as tenancy
from local_daemon.protocol import ids
from tests.integration.cloud.console.conftest import SignIn
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

MANIFEST = {
    "objective": "In order.",
    "order": "sequence",
    "steps": [{"name": name, "task": {"goal": name, "executor": "codex"}} for name in ("look", "mend")],
}

NO_TASK = {"goal": "", "executor": ""}


def asked(tenant: Tenant, **given: Any) -> dict[str, Any]:
    return {
        "name": "nightly",
        "project": str(tenant.project.pk),
        "executor": "codex",
        "goal": "Update the dependencies.",
        "cron": "30 6 * * 1-5",
        "time_zone": "Europe/Berlin",
        "when_away": "skip",
        **given,
    }


def make(browser: Client, tenant: Tenant, **given: Any) -> Any:
    return browser.post(reverse("admin:schedules_runschedule_make"), asked(tenant, **given), follow=True)


def kept(tenant: Tenant) -> RunSchedule | None:
    with scope.organization(tenant.id):
        return RunSchedule.objects.first()


@pytest.fixture
def browser(acme: Tenant, sign_in: SignIn) -> Client:
    return sign_in(acme, Role.ORG_ADMIN)


@pytest.fixture
def row(acme: Tenant, browser: Client) -> RunSchedule:
    make(browser, acme)
    found = kept(acme)
    assert found is not None
    return found


def act(browser: Client, word: str, row: RunSchedule, **given: Any) -> Any:
    url = reverse(f"admin:schedules_runschedule_{word}", args=[row.pk])
    return browser.post(url, {"version": str(row.version), **given}, follow=True)


def test_the_next_times_are_shown_by_those_clocks_before_anything_is_kept(acme: Tenant, browser: Client) -> None:
    page = make(browser, acme, preview="1")
    assert kept(acme) is None
    table = page.context["table"]
    assert [number for number, *_ in table.rows] == ["1", "2", "3", "4", "5"]
    assert all(local.endswith("06:30") for _, local, _ in table.rows)
    assert all(utc.endswith(("05:30", "04:30")) for *_, utc in table.rows)
    assert page.context["form"]["goal"].value() == "Update the dependencies."


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cron": "30 6 * *"}, "five fields"),
        ({"cron": "0 0 30 2 *"}, "never due"),
        ({"cron": ""}, "either when it starts or a cron"),
        ({"starts_at": "2099-01-01T06:00"}, "either when it starts or a cron"),
        ({"cron": "", "starts_at": "2001-01-01T06:00"}, "passed"),
        ({**NO_TASK, "plan": "{not json"}, "This is no JSON"),
        ({**NO_TASK, "plan": "[]"}, "one JSON object"),
        ({**NO_TASK, "plan": json.dumps({**MANIFEST, "steps": []})}, "steps"),
        ({"plan": json.dumps(MANIFEST)}, "empty those fields"),
        ({"goal": ""}, "Say what to do"),
        ({"time_zone": "Mars/Olympus"}, "Select a valid choice"),
        ({"name": ""}, "required"),
    ],
)
def test_what_cannot_be_begun_is_refused_with_what_was_typed(
    acme: Tenant, browser: Client, given: dict[str, str], said: str
) -> None:
    page = make(browser, acme, **given)
    assert said in str(page.context["form"].errors)
    assert kept(acme) is None


def test_one_is_made_in_ones_own_name_and_shown_with_its_times(acme: Tenant, browser: Client) -> None:
    shown = make(browser, acme).content.decode()
    row = kept(acme)
    assert row is not None
    assert (row.tasks, row.manifest) == ([{"goal": "Update the dependencies.", "executor": "codex"}], None)
    for words in ("nightly begins by itself.", "org_admin-", "Next times", "06:30", "It has not been due yet."):
        assert words in shown
    with scope.organization(acme.id):
        assert AuditEvent.objects.get(event_type="run_schedule:created").actor_kind == "user"


def test_a_time_is_by_the_clocks_that_were_chosen(acme: Tenant, browser: Client) -> None:
    make(browser, acme, cron="", starts_at="2099-07-01T06:00")
    row = kept(acme)
    assert row is not None
    assert row.starts_at == datetime(2099, 7, 1, 4, tzinfo=UTC)
    form = browser.get(reverse("admin:schedules_runschedule_edit", args=[row.pk])).context["form"]
    assert form["starts_at"].value() == "2099-07-01T06:00"


def test_a_whole_manifest_is_taken_and_offered_for_change(acme: Tenant, browser: Client) -> None:
    shown = make(browser, acme, **NO_TASK, plan=json.dumps(MANIFEST)).content.decode()
    row = kept(acme)
    assert row is not None
    assert row.objective == "In order."
    assert "mend" in shown
    form = browser.get(reverse("admin:schedules_runschedule_edit", args=[row.pk])).context["form"]
    assert json.loads(form["plan"].value()) == MANIFEST


def test_it_is_changed_by_the_version_that_was_seen(acme: Tenant, browser: Client, row: RunSchedule) -> None:
    act(browser, "edit", row, **asked(acme, cron="0 7 * * *"))
    late = act(browser, "edit", row, **asked(acme, cron="0 8 * * *"))
    assert "Somebody changed this while you looked at it" in late.content.decode()
    found = kept(acme)
    assert found is not None
    assert (found.cron, found.version) == ("0 7 * * *", 2)


def test_it_is_paused_resumed_begun_at_once_and_deleted(acme: Tenant, browser: Client, row: RunSchedule) -> None:
    act(browser, "switch", row)
    paused = kept(acme)
    assert paused is not None
    assert paused.status == "paused"
    assert "It is paused; resume it first." in act(browser, "fire", paused).content.decode()
    act(browser, "switch", paused)
    assert "begins within a minute" in act(browser, "fire", paused).content.decode()
    with scope.organization(acme.id):
        assert RunFiring.objects.get().state == FiringState.WAITING
    resumed = kept(acme)
    assert resumed is not None
    act(browser, "delete_schedule", resumed)
    assert browser.get(reverse("admin:schedules_runschedule_change", args=[row.pk])).status_code == 404
    assert "nightly" not in browser.get(reverse("admin:schedules_runschedule_changelist")).content.decode()


def test_it_says_who_asked_for_a_run_beside_its_times(acme: Tenant, browser: Client, row: RunSchedule) -> None:
    with scope.organization(acme.id):
        for day, asked_by in ((19, ""), (20, "<i>planner</i>")):
            due_at = datetime(2026, 11, day, tzinfo=UTC)
            RunFiring.objects.create(organization_id=acme.id, schedule=row, due_at=due_at, asked_by=asked_by)
    for page in (
        browser.get(reverse("admin:schedules_runschedule_change", args=[row.pk])),
        browser.get(reverse("admin:schedules_runfiring_changelist")),
    ):
        shown = page.content.decode()
        assert shown.index("&lt;i&gt;planner") < shown.index("its time")
    act(browser, "fire", row)
    with scope.organization(acme.id):
        asker = RunFiring.objects.latest("due_at").asked_by
    assert asker.startswith("org_admin-")
    assert asker in browser.get(reverse("admin:schedules_runfiring_changelist")).content.decode()


def test_the_list_says_what_came_of_the_last_time(acme: Tenant, browser: Client, row: RunSchedule) -> None:
    with scope.organization(acme.id):
        for days, state in ((3, FiringState.STARTED), (1, FiringState.SKIPPED), (2, FiringState.FAILED)):
            due_at = datetime(2026, 11, 20, tzinfo=UTC) - timedelta(days=days)
            RunFiring.objects.create(organization_id=acme.id, schedule=row, due_at=due_at, state=state)
    assert "skipped, 2026-11-19" in browser.get(reverse("admin:schedules_runschedule_changelist")).content.decode()
    page = browser.get(reverse("admin:schedules_runschedule_change", args=[row.pk]))
    assert [firing.state for firing, _ in page.context["firings"]] == ["skipped", "failed", "started"]


def test_the_executors_of_machines_within_reach_are_named_as_text(
    acme: Tenant, sign_in: SignIn, make_connector: Callable[..., Connector]
) -> None:
    """A help text is taken for markup by every form, and what executors are called is their machine's word."""
    with scope.organization(acme.id):
        beside, _ = tenancy.project_ensure(workspace=acme.workspace, name="beside", actor=None)
    for tenant, executor in ((acme, "<img src=x>"), (replace(acme, project=beside), "theirs-beside")):
        machine = Machine()
        connector = make_connector(tenant, machine)
        opened = links.link_open(connector_id=connector.id, link_owner="process-1")
        advertised = machine.advertisement("website").model_copy(update={"executors": (executor,)})
        services.advertise_apply(connector_id=connector.id, epoch=opened.epoch, advertised=advertised)
    address = reverse("admin:schedules_runschedule_make")
    shown = sign_in(acme, Role.PROJECT_OPERATOR, project=acme.project).get(address).content.decode()
    assert "On your machines: &lt;img src=x&gt;." in shown
    assert "theirs-beside" in sign_in(acme).get(address).content.decode()


def test_a_viewer_looks_and_changes_nothing(acme: Tenant, sign_in: SignIn, row: RunSchedule) -> None:
    viewer = sign_in(acme, Role.PROJECT_VIEWER, project=acme.project)
    page = viewer.get(reverse("admin:schedules_runschedule_change", args=[row.pk]))
    assert page.status_code == 200
    assert "Run now" not in page.content.decode()
    assert act(viewer, "fire", row).status_code == 403


def test_an_operator_cannot_have_one_fire_in_nobodys_name(acme: Tenant, sign_in: SignIn, row: RunSchedule) -> None:
    page = act(sign_in(), "edit", row, **asked(acme, cron="0 7 * * *"))
    assert "in a member&#x27;s name" in page.content.decode()
    found = kept(acme)
    assert found is not None
    assert found.cron == row.cron


def test_an_operator_sees_how_the_workers_tasks_went_and_when_they_run_next(db: None, sign_in: SignIn) -> None:
    declarations.schedules_declare()
    name, _ = next(iter(declarations.DECLARATIONS.items()))
    with scope.operator():
        ScheduledTask.objects.create(name=name, outcome="ok", started_at=datetime.now(UTC), runs=3)
    shown = sign_in().get(reverse("admin:schedules_scheduledtask_changelist")).content.decode()
    assert name in shown
    assert "min" in shown
    assert Schedule.objects.filter(name=name).exists()
    assert "when a worker starts" not in shown


def test_a_run_that_it_began_is_one_click_away(acme: Tenant, browser: Client, row: RunSchedule) -> None:
    run_id = ids.new_id(ids.IdPrefix.RUN)
    with scope.organization(acme.id):
        RunFiring.objects.create(
            organization_id=acme.id, schedule=row, due_at=datetime.now(UTC), state=FiringState.STARTED, run_id=run_id
        )
    assert run_id in browser.get(reverse("admin:schedules_runschedule_change", args=[row.pk])).content.decode()
