"""Runs that begin by themselves, over HTTP."""

from datetime import UTC, datetime, timedelta

import pytest

from cloud.permissions.roles import Role
from cloud.schedules.models import RunFiring
from cloud.tenancy import scope
from tests.integration.cloud.rest.client import Api, told
from tests.integration.cloud.rest.conftest import MakeApi
from tests.integration.cloud.rest.places import TASK
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def wanted(acme: Tenant, **facts: object) -> dict[str, object]:
    base = {"project_id": str(acme.project.id), "name": "Nightly", "objective": "Keep it working.", "tasks": [TASK]}
    given = {**base, "cron": "0 3 * * *", **facts}
    return {name: value for name, value in given.items() if value is not None}


def test_a_schedule_is_made_changed_paused_resumed_and_deleted(owner: Api, acme: Tenant) -> None:
    made = owner.made("/run-schedules", wanted(acme, time_zone="Europe/Berlin"))
    assert (made["status"], made["tasks"], made["version"]) == ("active", [TASK], 1)
    path = f"/run-schedules/{made['run_schedule_id']}"
    assert owner.get(f"/run-schedules?project_id={acme.project.id}")["items"] == [made]
    changed = owner.ask("PATCH", path, {"cron": "30 4 * * 1", "name": "Weekly"}, if_match='"1"')
    assert (changed.json()["name"], changed.json()["cron"], changed.json()["objective"]) == (
        "Weekly", "30 4 * * 1", "Keep it working.",
    )  # fmt: skip
    assert owner.ask("POST", f"{path}/pause").json()["next_due_at"] is None
    assert owner.ask("POST", f"{path}/resume", if_match='"3"').json()["status"] == "active"
    assert told(owner.ask("DELETE", path)) == (428, "precondition_failed")
    assert owner.ask("DELETE", path, if_match='"4"').json()["status"] == "deleted"
    assert owner.get("/run-schedules")["items"] == []
    assert told(owner.ask("POST", f"{path}/resume")) == (404, "not_found")


def test_two_who_change_a_schedule_do_not_overwrite_each_other(acme: Tenant, make_api: MakeApi) -> None:
    first, second = make_api(acme), make_api(acme, Role.ORG_ADMIN)
    path = f"/run-schedules/{first.made('/run-schedules', wanted(acme))['run_schedule_id']}"
    assert first.ask("PATCH", path, {"name": "One"}, if_match='"1"').status_code == 200
    assert told(second.ask("PATCH", path, {"name": "Two"}, if_match='"1"')) == (412, "precondition_failed")
    assert second.ask("PATCH", path, {"name": "Two"}, if_match="*").json()["name"] == "Two"


def test_from_every_night_to_once(owner: Api, acme: Tenant) -> None:
    path = f"/run-schedules/{owner.made('/run-schedules', wanted(acme))['run_schedule_id']}"
    once = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert told(owner.ask("PATCH", path, {"starts_at": once}, if_match="*")) == (400, "invalid_request")
    changed = owner.ask("PATCH", path, {"starts_at": once, "cron": ""}, if_match="*").json()
    assert (changed["cron"], changed["next_due_at"]) == ("", changed["starts_at"])


def test_a_schedule_may_say_its_whole_run_and_go_back_to_tasks(owner: Api, acme: Tenant) -> None:
    steps = [{"name": "one", "task": TASK}, {"name": "two", "task": TASK, "depends_on": ["one"]}]
    manifest = {"objective": "Keep it working.", "steps": steps}
    made = owner.made("/run-schedules", {**wanted(acme, tasks=None, objective=None), "manifest": manifest})
    assert (made["manifest"], made["tasks"], made["objective"]) == (manifest, [], "Keep it working.")
    path = f"/run-schedules/{made['run_schedule_id']}"
    changed = owner.ask("PATCH", path, {"tasks": [TASK]}, if_match="*").json()
    assert (changed["manifest"], changed["tasks"]) == (None, [TASK])


@pytest.mark.parametrize(
    "facts",
    [
        {"cron": "every night"},
        {"cron": ""},
        {"starts_at": "2020-01-01T00:00:00Z", "cron": ""},
        {"starts_at": "2020-01-01T00:00:00", "cron": ""},
        {"time_zone": "Mars/Olympus"},
        {"tasks": []},
        {"tasks": [{**TASK, "surprise": 1}]},
        {"when_away": "maybe"},
    ],
)
def test_what_cannot_begin_is_not_scheduled(owner: Api, acme: Tenant, facts: dict[str, object]) -> None:
    assert told(owner.ask("POST", "/run-schedules", wanted(acme, **facts))) == (400, "invalid_request")


def test_a_schedule_is_begun_at_once_and_once_a_minute(owner: Api, acme: Tenant) -> None:
    made = owner.made("/run-schedules", wanted(acme))
    path = f"/run-schedules/{made['run_schedule_id']}"
    first = owner.ask("POST", f"{path}/fire")
    assert (first.status_code, first.json()["state"]) == (200, "waiting")
    with scope.organization(acme.id):
        # In the next minute it may be another one.
        assert 1 <= RunFiring.objects.count() <= 2
    assert owner.get(f"{path}/firings")["items"][0]["state"] == "waiting"
    owner.ask("POST", f"{path}/pause")
    assert told(owner.ask("POST", f"{path}/fire")) == (409, "invalid_transition")
