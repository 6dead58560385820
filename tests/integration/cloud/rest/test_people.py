"""Members and invitations over HTTP."""

import pytest

from cloud.permissions.roles import Role
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.rest.client import Api, told
from tests.integration.cloud.rest.conftest import MakeApi
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def test_a_member_is_found_given_another_role_and_removed(
    owner: Api, acme: Tenant, make_member: MakeMember, make_api: MakeApi
) -> None:
    member = make_member(acme, Role.PROJECT_OPERATOR, project=acme.project)
    theirs = make_api(acme, member=member)
    path = f"/memberships/{member.id}"
    (found,) = owner.get(f"/memberships?search={member.user.email}")["items"]
    assert (found["email"], found["role"], found["project_ids"]) == (
        member.user.email, "project_operator", [str(acme.project.id)],
    )  # fmt: skip
    changed = owner.ask(
        "PUT", path, {"role": "workspace_admin", "workspace_id": str(acme.workspace.id)}, if_match='"1"'
    )
    assert (changed.json()["role"], changed.json()["project_ids"]) == ("workspace_admin", None)
    assert theirs.get("/me")["workspace_id"] == str(acme.workspace.id)
    removed = owner.ask("DELETE", path, if_match=changed.headers["ETag"])
    assert removed.json()["status"] == "disabled"
    assert told(theirs.ask("GET", "/me")) == (401, "unauthenticated")
    assert owner.get("/memberships?status=disabled")["items"][0]["membership_id"] == str(member.id)


def test_the_last_owner_stays(owner: Api) -> None:
    (only,) = owner.get("/memberships?role=org_owner")["items"]
    refused = owner.ask("DELETE", f"/memberships/{only['membership_id']}", if_match="*")
    assert told(refused) == (409, "invalid_transition")


def test_two_who_change_one_member_do_not_overwrite_each_other(
    acme: Tenant, make_member: MakeMember, make_api: MakeApi
) -> None:
    member = make_member(acme, Role.PROJECT_VIEWER, project=acme.project)
    path, first, second = f"/memberships/{member.id}", make_api(acme), make_api(acme, Role.ORG_ADMIN)
    seen = second.ask("GET", path).headers["ETag"]
    assert first.ask("PUT", path, {"role": "project_operator"}, if_match=seen).status_code == 200
    assert told(second.ask("PUT", path, {"role": "org_admin"}, if_match=seen)) == (412, "precondition_failed")
    assert first.get(path)["role"] == "project_operator"


def test_nobody_makes_another_more_than_they_are(acme: Tenant, make_member: MakeMember, make_api: MakeApi) -> None:
    admin = make_api(acme, Role.ORG_ADMIN)
    member = make_member(acme, Role.PROJECT_VIEWER, project=acme.project)
    assert told(admin.ask("PUT", f"/memberships/{member.id}", {"role": "org_owner"}, if_match="*")) == (
        403, "forbidden",
    )  # fmt: skip


def test_an_invitation_is_made_sent_again_and_revoked(owner: Api, acme: Tenant) -> None:
    made = owner.made(
        "/invitations", {"email": "New@Example.com", "role": "project_viewer", "project_ids": [str(acme.project.id)]}
    )
    assert made["email"] == "new@example.com"
    assert made["link"] == f"/join/{made['secret']}"
    assert owner.client.get(made["link"]).status_code == 200
    path = f"/invitations/{made['invitation_id']}"
    again = owner.ask("POST", f"{path}/resend", {"days": 1}).json()
    assert again["secret"] != made["secret"]
    assert owner.client.get(made["link"]).status_code == 404
    (listed,) = owner.get("/invitations?open_only=true")["items"]
    assert owner.get(path) == listed
    assert "secret" not in listed
    assert "link" not in listed
    assert owner.ask("POST", f"{path}/revoke").json()["revoked_at"] is not None
    assert owner.get("/invitations?open_only=true")["items"] == []
    assert told(owner.ask("POST", f"{path}/resend")) == (409, "invalid_transition")


def test_an_address_is_invited_once_at_a_time(owner: Api) -> None:
    wanted = {"email": "x@example.com", "role": "org_admin"}
    owner.made("/invitations", wanted)
    assert told(owner.ask("POST", "/invitations", wanted)) == (409, "invalid_transition")
    assert told(owner.ask("POST", "/invitations", {**wanted, "email": "nobody"})) == (400, "invalid_request")
