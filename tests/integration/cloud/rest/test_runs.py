"""Runs, steps, gates and the action log over HTTP, as the cloud last heard of them."""

from datetime import UTC, datetime

import pytest

from cloud.connectors.models import Location
from cloud.permissions.roles import Role
from cloud.runs.models import RunEvent
from cloud.tenancy import scope
from local_daemon.protocol import ids
from tests.integration.cloud.conftest import MakeCode, MakeMember
from tests.integration.cloud.rest.client import Api, told
from tests.integration.cloud.rest.conftest import MakeApi
from tests.integration.cloud.rest.places import DIGEST, machine_share, work_make
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def location(acme: Tenant, make_code: MakeCode) -> Location:
    return machine_share(make_code(acme))


def test_a_run_is_told_with_where_it_is_and_as_of_when(owner: Api, acme: Tenant, location: Location) -> None:
    known = work_make(acme, location, title="Fix the till")
    run = owner.get(f"/runs/{known['run_id']}")
    assert (run["state"], run["title"], run["machine"]) == ("running", "Fix the till", "builder")
    assert (run["project_id"], run["location_id"]) == (str(acme.project.id), str(location.id))
    assert datetime.fromisoformat(run["as_of"]) <= datetime.now(UTC)
    assert owner.get("/runs?search=till&state=running")["items"] == [run]
    assert owner.get("/runs?state=completed")["items"] == []


def test_runs_are_paged_newest_first_and_none_is_told_twice(owner: Api, acme: Tenant, location: Location) -> None:
    known = [work_make(acme, location)["run_id"] for _ in range(5)]
    first = owner.get("/runs?limit=2")
    work_make(acme, location)
    second = owner.get(f"/runs?limit=2&cursor={first['next_cursor']}")
    third = owner.get(f"/runs?limit=2&cursor={second['next_cursor']}")
    found = [row["run_id"] for page in (first, second, third) for row in page["items"]]
    assert found == sorted(known, reverse=True)
    assert third["next_cursor"] is None


def test_steps_and_gates_are_found_by_run_and_by_state(owner: Api, acme: Tenant, location: Location) -> None:
    known, other = work_make(acme, location), work_make(acme, location)
    (step,) = owner.get(f"/steps?run_id={known['run_id']}")["items"]
    assert (step["step_id"], step["state"], step["executor"]) == (known["step_id"], "waiting", "patch")
    assert owner.get(f"/steps/{known['step_id']}") == step
    waiting = owner.get("/gates?state=open")["items"]
    assert [gate["gate_id"] for gate in waiting] == [other["gate_id"], known["gate_id"]]
    assert owner.get(f"/gates/{known['gate_id']}")["digest"] == DIGEST


def test_what_happened_to_a_run_is_told_in_order(owner: Api, acme: Tenant, location: Location) -> None:
    known = work_make(acme, location)
    with scope.organization(acme.id):
        log_id = ids.new_id(ids.IdPrefix.LOG)
        for seq in (2, 3):
            RunEvent.objects.create(
                organization_id=acme.id, project_id=acme.project.id, location=location, log_id=log_id, seq=seq,
                event_type="step.changed", at=datetime.now(UTC), run_id=known["run_id"], step_id=known["step_id"],
                record={"seq": seq},
            )  # fmt: skip
    path = f"/runs/{known['run_id']}/events"
    first = owner.get(f"{path}?limit=2")
    rest = owner.get(f"{path}?limit=2&cursor={first['next_cursor']}")
    assert [(row["seq"], row["event_type"]) for row in first["items"] + rest["items"]] == [
        (1, "run.changed"), (2, "step.changed"), (3, "step.changed"),
    ]  # fmt: skip
    assert rest["items"][0]["record"] == {"seq": 3}


def test_a_gate_is_decided_by_its_machine_alone(owner: Api, acme: Tenant, location: Location) -> None:
    known = work_make(acme, location)
    path = f"/gates/{known['gate_id']}/decide"
    assert told(owner.ask("POST", path, {"decision": "approve"})) == (400, "invalid_request")
    away = owner.ask("POST", path, {"decision": "approve", "digest": DIGEST})
    assert told(away) == (503, "connector_offline")
    assert away.headers["Retry-After"] == "5"
    assert owner.get(f"/gates/{known['gate_id']}")["state"] == "open"
    queued = owner.ask("POST", path, {"decision": "approve", "digest": DIGEST}, prefer="respond-async")
    assert (queued.status_code, queued.json()["state"]) == (202, "accepted")
    call = owner.get(f"/calls/{queued.headers['Ropeway-Call-Id']}")
    assert (call["operation"], call["state"], call["status"]) == ("gates.decide", "accepted", None)


def test_the_same_key_queues_one_run(owner: Api, acme: Tenant, location: Location) -> None:
    wanted = {"project_id": str(acme.project.id), "objective": "Try it."}
    first = owner.ask("POST", "/runs", wanted, prefer="respond-async", idempotency_key="k1")
    again = owner.ask("POST", "/runs", wanted, prefer="respond-async", idempotency_key="k1")
    other = owner.ask("POST", "/runs", {**wanted, "objective": "x"}, prefer="respond-async", idempotency_key="k1")
    assert first.json()["call_id"] == again.json()["call_id"]
    assert told(other) == (409, "idempotency_conflict")


def test_the_action_log_tells_who_asked_what_and_what_came_of_it(
    acme: Tenant, location: Location, make_api: MakeApi, make_member: MakeMember
) -> None:
    api = make_api(acme, member=make_member(acme, Role.PROJECT_OPERATOR, project=acme.project))
    api.ask("POST", "/runs", {"project_id": str(acme.project.id), "objective": "Try it."}, prefer="respond-async")
    known = work_make(acme, location)
    calls = api.get("/calls")["items"]
    assert [call["operation"] for call in calls] == ["runs.create", "runs.create"]
    (own,) = api.get(f"/calls?actor_id={api.get('/me')['id']}&state=accepted")["items"]
    assert own["actor"] == "planner"
    (answered,) = api.get("/calls?state=answered&operation=runs.create")["items"]
    assert (answered["call_id"], answered["status"], answered["answer_code"]) == (known["call_id"], 200, None)
    assert {"request", "answer"}.isdisjoint(answered)
