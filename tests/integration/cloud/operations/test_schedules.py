"""Runs that begin by themselves, as a planner has them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloud.access import selectors
from cloud.access.principals import Principal
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from cloud.tenancy.models import Membership
from local_daemon.protocol import errors, ids
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.operations.asking import answered
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

TASK = {"goal": "Update the dependencies.", "executor": "codex"}


def principal_of(member: Membership) -> Principal:
    with scope.organization(member.organization_id):
        return selectors.user_principal(member.user, organization_id=member.organization_id)


@pytest.fixture
def planner(acme: Tenant, make_member: MakeMember) -> Principal:
    return principal_of(make_member(acme, Role.ORG_ADMIN))


def asked(tenant: Tenant, **more: Any) -> dict[str, Any]:
    facts = {"name": "nightly", "objective": "Keep up.", "tasks": [TASK], "cron": "0 3 * * *"}
    return {"project_id": str(tenant.project.id), **facts, **more}


def test_a_schedule_is_made_read_paused_resumed_and_deleted(acme: Tenant, planner: Principal) -> None:
    made = answered(planner, "schedules.create", **asked(acme, time_zone="Europe/Berlin", when_away="queue"))
    assert (made["status"], made["cron"], made["steps"], made["when_away"]) == ("active", "0 3 * * *", 1, "queue")
    assert made["next_due_at"] is not None
    (listed,) = answered(planner, "schedules.list", project_id=str(acme.project.id))["items"]
    assert listed == made
    named = {"schedule_id": made["schedule_id"]}
    for _ in range(2):
        assert answered(planner, "schedules.pause", **named)["status"] == "paused"
    assert answered(planner, "schedules.resume", **named)["status"] == "active"
    assert answered(planner, "schedules.get", **named) == {"schedule": {**made, "version": 3}, "firings": []}
    answered(planner, "schedules.delete", **named)
    assert answered(planner, "schedules.list")["items"] == []


def test_a_schedule_is_changed_and_what_is_left_out_stays(acme: Tenant, planner: Principal) -> None:
    made = answered(planner, "schedules.create", **asked(acme, time_zone="Europe/Berlin"))
    named = {"schedule_id": made["schedule_id"]}
    changed = answered(planner, "schedules.update", **named, version=made["version"], cron="30 4 * * 1")
    told_anew = {"cron", "next_due_at", "version"}
    assert {key for key in made if made[key] != changed[key]} == told_anew
    assert changed["cron"] == "30 4 * * 1"
    with pytest.raises(errors.PreconditionFailed):
        answered(planner, "schedules.update", **named, version=made["version"], name="weekly")
    steps = [{"name": "one", "task": TASK}, {"name": "two", "task": TASK}]
    manifest = {"objective": "Keep up.", "steps": steps}
    assert answered(planner, "schedules.update", **named, manifest=manifest)["steps"] == 2
    assert answered(planner, "schedules.update", **named, tasks=[TASK], objective="Again.")["steps"] == 1


@pytest.mark.parametrize("wrong", [{"cron": "never"}, {"tasks": [{"goal": "x"}]}, {"time_zone": "Mars/Olympus"}])
def test_a_change_that_cannot_be_fired_is_refused_and_changes_nothing(
    acme: Tenant, planner: Principal, wrong: dict[str, Any]
) -> None:
    made = answered(planner, "schedules.create", **asked(acme))
    with pytest.raises(errors.InvalidRequest):
        answered(planner, "schedules.update", schedule_id=made["schedule_id"], **wrong)
    assert answered(planner, "schedules.get", schedule_id=made["schedule_id"])["schedule"] == made


def test_a_schedule_run_now_leaves_a_firing_for_the_worker(acme: Tenant, planner: Principal) -> None:
    made = answered(planner, "schedules.create", **asked(acme))
    fired = answered(planner, "schedules.run_now", schedule_id=made["schedule_id"])
    assert (fired["state"], fired["run_id"], fired["asked_by"]) == ("waiting", None, planner.label)
    (firing,) = answered(planner, "schedules.get", schedule_id=made["schedule_id"])["firings"]
    assert firing == fired


def test_a_schedule_can_be_a_whole_manifest(acme: Tenant, planner: Principal) -> None:
    steps = [{"name": "one", "task": TASK}, {"name": "two", "task": TASK, "depends_on": ["one"]}]
    manifest = {"objective": "Keep up.", "steps": steps}
    made = answered(planner, "schedules.create", **asked(acme, objective=None, tasks=[], manifest=manifest))
    assert (made["steps"], made["objective"]) == (2, "Keep up.")


@pytest.mark.parametrize(
    "wrong",
    [
        {"cron": "every tuesday"},
        {"cron": "", "starts_at": (datetime.now(UTC) - timedelta(days=1)).isoformat()},
        {"starts_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
        {"tasks": []},
        {"objective": None},
        {"manifest": {"objective": "x", "steps": []}, "tasks": []},
        {"manifest": {"objective": "x", "steps": [{"name": "one", "task": TASK}]}},
        {"tasks": [{"goal": "x"}]},
        {"time_zone": "Mars/Olympus"},
        {"when_away": "panic"},
        {"surprise": 1},
    ],
)
def test_a_schedule_that_cannot_fire_is_refused(acme: Tenant, planner: Principal, wrong: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidRequest):
        answered(planner, "schedules.create", **asked(acme, **wrong))


def test_what_is_out_of_reach_is_not_there(acme: Tenant, globex: Tenant, planner: Principal) -> None:
    made = answered(planner, "schedules.create", **asked(acme))
    assert answered(globex.principal(), "schedules.list")["items"] == []
    for schedule_id in (made["schedule_id"], str(ids.new_uuid7())):
        for operation in ("get", "pause", "resume", "run_now", "delete"):
            with pytest.raises(errors.NotFound):
                answered(globex.principal(), f"schedules.{operation}", schedule_id=schedule_id)
    with pytest.raises(errors.NotFound):
        answered(globex.principal(), "schedules.create", **asked(acme))


def test_one_who_may_only_look_changes_nothing(acme: Tenant, planner: Principal, make_member: MakeMember) -> None:
    made = answered(planner, "schedules.create", **asked(acme))
    viewer = principal_of(make_member(acme, Role.PROJECT_VIEWER, project=acme.project))
    assert answered(viewer, "schedules.list")["items"] == [made]
    for operation in ("pause", "resume", "run_now", "delete"):
        with pytest.raises(errors.Forbidden):
            answered(viewer, f"schedules.{operation}", schedule_id=made["schedule_id"])
    with pytest.raises(errors.Forbidden):
        answered(viewer, "schedules.create", **asked(acme))
