"""Machines, daemons, repositories and codes over HTTP."""

import pytest

from cloud.connectors import enrollment, links
from cloud.connectors import services as connectors
from tests.integration.cloud.conftest import MakeCode
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.rest.client import Api, told
from tests.integration.cloud.rest.places import machine_share
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def test_a_code_enrolls_one_machine_and_says_so(owner: Api, acme: Tenant) -> None:
    made = owner.made("/enrollment-codes", {"project_id": str(acme.project.id), "minutes": 5, "label": "new laptop"})
    connector = enrollment.connector_enroll(**Machine().enroll_request(made["code"]))
    (listed,) = owner.get("/enrollment-codes")["items"]
    assert "code" not in listed
    assert (listed["label"], listed["connector_id"]) == ("new laptop", str(connector.id))
    assert owner.get(f"/enrollment-codes/{made['enrollment_code_id']}") == listed
    assert owner.get("/enrollment-codes?open_only=true")["items"] == []
    revoke = f"/enrollment-codes/{made['enrollment_code_id']}/revoke"
    assert told(owner.ask("POST", revoke)) == (409, "invalid_transition")


def test_a_code_that_was_revoked_enrolls_none(owner: Api) -> None:
    made = owner.made("/enrollment-codes", {})
    assert (made["workspace_id"], made["project_id"]) == (None, None)
    revoke = f"/enrollment-codes/{made['enrollment_code_id']}/revoke"
    assert owner.ask("POST", revoke).json()["revoked_at"] is not None
    answer = owner.client.post(
        "/api/v2/connectors/enroll", Machine().enroll_request(made["code"]), content_type="application/json"
    )
    assert told(answer) == (410, "expired")


def test_a_waiting_machine_is_looked_at_claimed_and_shown(owner: Api, acme: Tenant) -> None:
    _, code = enrollment.connector_register_pending(**Machine().register_request())
    wanted = {"claim_code": code, "workspace_id": str(acme.workspace.id)}
    assert owner.ask("POST", "/connectors/look", wanted).json() == {
        "label": "laptop", "machine": {"platform": "darwin"},
    }  # fmt: skip
    claimed = owner.made("/connectors/claim", wanted)
    assert (claimed["label"], claimed["is_online"]) == ("laptop", False)
    assert claimed["claim"]["workspace_id"] == str(acme.workspace.id)
    detail = owner.get(f"/connectors/{claimed['connector_id']}")
    assert detail == {**claimed, "health": None, "instances": [], "locations": []}
    assert told(owner.ask("POST", "/connectors/claim", wanted)) == (404, "not_found")


def test_a_machine_is_renamed_disabled_enabled_moved_and_released(
    owner: Api, acme: Tenant, make_code: MakeCode
) -> None:
    location = machine_share(make_code(acme))
    path = f"/connectors/{location.instance.connector_id}"
    first = owner.ask("GET", path)
    renamed = owner.ask("PATCH", path, {"label": "builder two"}, if_match=first.headers["ETag"])
    assert (renamed.json()["label"], renamed.json()["version"]) == ("builder two", 2)
    assert told(owner.ask("POST", f"{path}/disable", if_match='"1"')) == (412, "precondition_failed")
    assert owner.ask("POST", f"{path}/disable").json()["status"] == "disabled"
    assert owner.get("/connectors?status=disabled")["items"][0]["label"] == "builder two"
    assert owner.ask("POST", f"{path}/enable", if_match='"3"').json()["status"] == "active"
    workspace = owner.made("/workspaces", {"name": "Elsewhere"})
    moved = owner.ask("POST", f"{path}/transfer", {"workspace_id": workspace["workspace_id"]}, if_match='"4"')
    assert moved.json()["claim"]["workspace_id"] == workspace["workspace_id"]
    assert moved.json()["version"] == owner.get(path)["version"] == 5
    released = owner.ask("POST", f"{path}/release", if_match='"5"')
    assert (released.json()["claim"], released.json()["status"]) == (None, "disabled")
    assert owner.get("/connectors")["items"] == []
    assert len(owner.get("/connectors?with_released=true")["items"]) == 1


def test_a_repository_is_mapped_to_another_project_and_to_none(owner: Api, acme: Tenant, make_code: MakeCode) -> None:
    location = machine_share(make_code(acme))
    other = owner.made("/projects", {"workspace_id": str(acme.workspace.id), "name": "Other"})["project_id"]
    path = f"/locations/{location.id}/project"
    assert owner.ask("PUT", path, {"project_id": other}).json()["project_id"] == other
    (there,) = owner.get(f"/locations?project_id={other}")["items"]
    assert owner.get(f"/locations/{location.id}") == there
    assert (there["location_id"], there["machine"], there["is_online"]) == (str(location.id), "builder", False)
    assert owner.ask("PUT", path, {"project_id": None}).json()["project_id"] is None
    assert owner.get(f"/locations?project_id={other}")["items"] == []
    assert told(owner.ask("PUT", path, {})) == (400, "invalid_request")


def test_a_daemon_is_mapped_and_remembered_when_it_is_missing(owner: Api, acme: Tenant, make_code: MakeCode) -> None:
    machine = Machine()
    connector = enrollment.connector_enroll(**machine.enroll_request(make_code(acme)))
    links.link_open(connector_id=connector.id, link_owner="process-1")
    connectors.advertise_apply(connector_id=connector.id, epoch=1, advertised=machine.advertisement("x"))
    (only,) = owner.get(f"/instances?connector_id={connector.id}")["items"]
    assert owner.get(f"/instances/{only['instance_id']}") == only
    assert (only["daemon_id"], only["is_online"]) == (machine.instance_id, True)
    mapped = owner.ask("PUT", f"/instances/{only['instance_id']}/project", {"project_id": str(acme.project.id)})
    assert mapped.json()["project_id"] == str(acme.project.id)
    other = Machine(key=machine.key)
    connectors.advertise_apply(connector_id=connector.id, epoch=1, advertised=other.advertisement("y"))
    both = owner.get("/instances")["items"]
    assert [(row["daemon_id"], row["missing_since"] is None) for row in both] == [
        (machine.instance_id, False), (other.instance_id, True),
    ]  # fmt: skip
    assert len(owner.get("/instances?with_missing=false")["items"]) == 1


def test_when_a_machine_came_and_went_is_told_page_by_page(owner: Api, acme: Tenant, make_code: MakeCode) -> None:
    machine = Machine()
    connector = enrollment.connector_enroll(**machine.enroll_request(make_code(acme)))
    for _ in range(2):
        opened = links.link_open(connector_id=connector.id, link_owner="process-1")
        links.link_close(connector_id=connector.id, epoch=opened.epoch)
    path = f"/connectors/{connector.id}/presence"
    first = owner.get(f"{path}?limit=3")
    rest = owner.get(f"{path}?limit=3&cursor={first['next_cursor']}")
    told_all = [(row["epoch"], row["is_online"]) for row in first["items"] + rest["items"]]
    assert told_all == [(2, False), (2, True), (1, False), (1, True)]
    assert rest["next_cursor"] is None
