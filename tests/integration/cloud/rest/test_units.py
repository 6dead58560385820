"""Organizations, workspaces and projects over HTTP."""

import pytest

from cloud.permissions.roles import Role
from tests.integration.cloud.rest.client import Api, told
from tests.integration.cloud.rest.conftest import MakeApi
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def test_a_workspace_is_made_read_renamed_suspended_resumed_and_deleted(owner: Api) -> None:
    made = owner.ask("POST", "/workspaces", {"name": "Front end"})
    assert made.status_code == 201
    path = f"/workspaces/{made.json()['workspace_id']}"
    assert made.json()["slug"] == "front-end"
    read = owner.ask("GET", path)
    assert (read.json(), read.headers["ETag"]) == (made.json(), made.headers["ETag"])
    renamed = owner.ask("PATCH", path, {"name": "Frontend"}, if_match='"1"')
    assert (renamed.json()["name"], renamed.json()["slug"]) == ("Frontend", "front-end")
    assert renamed.headers["ETag"].startswith('"2-')
    assert owner.ask("POST", f"{path}/suspend").json()["status"] == "suspended"
    assert owner.ask("POST", f"{path}/resume").json()["status"] == "active"
    deleted = owner.ask("DELETE", path, if_match='"4"')
    assert (deleted.status_code, deleted.json()["status"]) == (200, "deleting")
    assert deleted.json()["deletion_due_at"] is not None


def test_a_project_is_made_in_its_workspace_and_found_by_it(owner: Api, acme: Tenant) -> None:
    made = owner.made("/projects", {"workspace_id": str(acme.workspace.id), "name": "Till", "slug": "till"})
    assert made["workspace_id"] == str(acme.workspace.id)
    elsewhere = owner.made("/workspaces", {"name": "Elsewhere"})
    there = owner.get(f"/projects?workspace_id={acme.workspace.id}&search=til")["items"]
    assert [row["project_id"] for row in there] == [made["project_id"]]
    assert owner.get(f"/projects?workspace_id={elsewhere['workspace_id']}")["items"] == []


def test_the_organization_is_ones_own_and_no_other(owner: Api, acme: Tenant, globex: Tenant) -> None:
    (only,) = owner.get("/organizations")["items"]
    assert only["organization_id"] == str(acme.id)
    assert told(owner.ask("GET", f"/organizations/{globex.id}")) == (404, "not_found")
    renamed = owner.ask("PATCH", f"/organizations/{acme.id}", {"name": "Acme Ltd"}, if_match='"1"')
    assert renamed.json()["name"] == "Acme Ltd"


def test_an_organization_is_told_by_whose_clocks_it_lives(owner: Api, acme: Tenant) -> None:
    path = f"/organizations/{acme.id}"
    assert owner.get(path)["time_zone"] == "UTC"
    changed = owner.ask("PATCH", path, {"time_zone": "Europe/Berlin"}, if_match='"1"').json()
    assert (changed["time_zone"], changed["name"], changed["version"]) == ("Europe/Berlin", "Acme", 2)
    refused = owner.ask("PATCH", path, {"time_zone": "Mars/Olympus"}, if_match='"2"')
    assert told(refused) == (400, "invalid_request")


def test_a_suspended_organization_answers_its_own_tokens_no_more(owner: Api, acme: Tenant) -> None:
    assert owner.ask("POST", f"/organizations/{acme.id}/suspend").json()["status"] == "suspended"
    assert told(owner.ask("GET", "/me")) == (401, "unauthenticated")


def test_two_who_change_the_same_object_lose_nothing(acme: Tenant, make_api: MakeApi) -> None:
    first, second = make_api(acme), make_api(acme, Role.ORG_ADMIN)
    path = f"/workspaces/{acme.workspace.id}"
    seen_by_first = first.ask("GET", path).headers["ETag"]
    seen_by_second = second.ask("GET", path).headers["ETag"]
    assert first.ask("PATCH", path, {"name": "From the first"}, if_match=seen_by_first).status_code == 200
    refused = second.ask("PATCH", path, {"slug": "from-the-second"}, if_match=seen_by_second)
    assert told(refused) == (412, "precondition_failed")
    assert refused.json()["attributes"] == {"version": 2}
    now = second.ask("GET", path)
    assert (now.json()["name"], now.json()["slug"]) == ("From the first", "main")
    assert second.ask("PATCH", path, {"slug": "second"}, if_match=now.headers["ETag"]).status_code == 200


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_change_without_if_match_is_refused_and_changes_nothing(owner: Api, acme: Tenant, method: str) -> None:
    path = f"/workspaces/{acme.workspace.id}"
    body = {"name": "x"} if method == "PATCH" else None
    assert told(owner.ask(method, path, body)) == (428, "precondition_failed")
    assert owner.get(path)["version"] == 1


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ("*", (200, "")),
        ('"1"', (200, "")),
        ('"2"', (412, "precondition_failed")),
        ('W/"1"', (412, "precondition_failed")),
        ('"abc"', (412, "precondition_failed")),
        ('"99999999999999999999"', (412, "precondition_failed")),
        ("1", (400, "invalid_request")),
        ('"1", "2"', (400, "invalid_request")),
    ],
)
def test_if_match_takes_what_etag_told(owner: Api, acme: Tenant, sent: str, answer: tuple[int, str]) -> None:
    path = f"/workspaces/{acme.workspace.id}"
    assert told(owner.ask("PATCH", path, {"name": "x"}, if_match=sent)) == answer


def test_an_action_heeds_if_match_where_it_is_sent(owner: Api, acme: Tenant) -> None:
    path = f"/projects/{acme.project.id}/suspend"
    assert told(owner.ask("POST", path, if_match='"7"')) == (412, "precondition_failed")
    assert owner.ask("POST", path).json()["status"] == "suspended"


def test_a_slug_that_is_taken_is_refused_by_its_field(owner: Api) -> None:
    owner.made("/workspaces", {"name": "Twice"})
    refused = owner.ask("POST", "/workspaces", {"name": "Twice"})
    assert told(refused) == (400, "invalid_request")
    assert refused.json()["attributes"]["errors"][0]["field"] == "slug"
