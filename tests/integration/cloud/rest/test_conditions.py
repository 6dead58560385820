"""Reads that say whether anything changed, and mappings that nobody overwrites unseen."""

from collections.abc import Callable

import pytest

from cloud.connectors import links
from cloud.connectors.models import Location
from cloud.permissions.roles import Role
from cloud.rest import routes
from cloud.tenancy import scope
from tests.integration.cloud.conftest import MakeCode, MakeMember, MakeToken
from tests.integration.cloud.rest.client import Api, told
from tests.integration.cloud.rest.places import machine_share, place_make
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

READS = sorted((endpoint for endpoint in routes.ENDPOINTS if endpoint.is_read), key=lambda endpoint: endpoint.name)
OF_THE_ASKING = {"limits.get", "usage.costs"}
"""They tell of calls, this one among them, or of now."""


def test_whoever_has_an_answer_is_told_that_it_is_the_same(
    acme: Tenant, owner: Api, make_member: MakeMember, make_token: MakeToken
) -> None:
    place = place_make(acme, acme.project, make_member=make_member, make_token=make_token)
    answers = {}
    for endpoint in READS:
        path = endpoint.path.format(**place.ids)
        first = owner.ask("GET", path)
        assert (first.status_code, first.headers["ETag"][-1]) == (200, '"'), path
        again = owner.ask("GET", path, if_none_match=first.headers["ETag"])
        answers[endpoint.name] = again.status_code
        if again.status_code == 304:
            assert (again.content, again.headers["ETag"]) == (b"", first.headers["ETag"])
            assert again.headers["Cache-Control"] == "no-store"
    assert {name for name, status in answers.items() if status != 304} <= OF_THE_ASKING


def test_whoever_has_another_answer_is_told_the_whole(owner: Api, acme: Tenant) -> None:
    path = f"/workspaces/{acme.workspace.id}"
    seen, all_seen = owner.ask("GET", path).headers["ETag"], owner.ask("GET", "/workspaces").headers["ETag"]
    owner.ask("PATCH", path, {"name": "Other"}, if_match=seen)
    for now in (
        owner.ask("GET", path, if_none_match=seen),
        owner.ask("GET", "/workspaces", if_none_match=all_seen),
        owner.ask("GET", path, if_none_match='"1"'),
    ):
        assert (now.status_code, b"Other" in now.content) == (200, True)


def test_a_refusal_is_told_whatever_the_caller_has(owner: Api, globex: Tenant) -> None:
    assert told(owner.ask("GET", f"/projects/{globex.project.id}", if_none_match="*")) == (404, "not_found")


def test_a_secret_that_is_told_once_has_no_tag(owner: Api) -> None:
    minted = owner.ask("POST", "/tokens", {"name": "x", "scopes": ["runs:read"]}, if_none_match="*")
    assert (minted.status_code, "ETag" in minted.headers) == (201, False)


@pytest.fixture
def location(acme: Tenant, make_code: MakeCode) -> Location:
    return machine_share(make_code(acme))


@pytest.fixture
def other(owner: Api, acme: Tenant) -> str:
    """Another project."""
    return str(owner.made("/projects", {"workspace_id": str(acme.workspace.id), "name": "Other"})["project_id"])


Mapped = Callable[[Location], str]


@pytest.mark.parametrize(
    "mapped",
    [lambda location: f"/locations/{location.id}", lambda location: f"/instances/{location.instance_id}"],
    ids=["location", "instance"],
)
def test_two_who_map_the_same_lose_nothing(
    owner: Api, acme: Tenant, make_api: Callable[..., Api], location: Location, other: str, mapped: Mapped
) -> None:
    second, path = make_api(acme, Role.ORG_ADMIN), mapped(location)
    seen = owner.ask("GET", path).headers["ETag"]
    first = owner.ask("PUT", f"{path}/project", {"project_id": other}, if_match=seen)
    assert (first.status_code, first.json()["mapping_version"]) == (200, 2)
    refused = second.ask("PUT", f"{path}/project", {"project_id": None}, if_match=seen)
    assert told(refused) == (412, "precondition_failed")
    assert refused.json()["attributes"] == {"version": 2}
    now = second.ask("GET", path)
    assert (now.json()["project_id"], now.headers["ETag"]) == (other, first.headers["ETag"])
    assert second.ask("PUT", f"{path}/project", {"project_id": None}, if_match='"2"').status_code == 200
    assert second.ask("PUT", f"{path}/project", {"project_id": other}).json()["mapping_version"] == 4
    assert told(second.ask("PUT", f"{path}/project", {"project_id": None}, if_match="4")) == (400, "invalid_request")


def test_a_machine_that_comes_and_goes_refuses_nobodys_mapping(
    owner: Api, acme: Tenant, location: Location, other: str
) -> None:
    path = f"/locations/{location.id}"
    seen = owner.ask("GET", path).headers["ETag"]
    links.link_open(connector_id=location.instance.connector_id, link_owner="process-1")
    assert owner.ask("GET", path, if_none_match=seen).json()["is_online"] is True
    assert owner.ask("PUT", f"{path}/project", {"project_id": other}, if_match=seen).status_code == 200


def test_what_moves_with_its_machine_was_mapped_too(owner: Api, acme: Tenant, location: Location, other: str) -> None:
    path = f"/locations/{location.id}"
    seen = owner.ask("GET", path).headers["ETag"]
    moved = owner.ask("POST", f"/connectors/{location.instance.connector_id}/transfer", {"project_id": other})
    assert moved.status_code == 200
    with scope.organization(acme.id):
        assert str(Location.objects.get(id=location.id).project_id) == other
    assert told(owner.ask("PUT", f"{path}/project", {"project_id": None}, if_match=seen)) == (
        412, "precondition_failed",
    )  # fmt: skip
