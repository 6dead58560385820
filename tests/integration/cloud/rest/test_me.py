"""Who asks, and what answers."""

import pytest

from cloud.permissions import matrix
from cloud.permissions.roles import Role
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.rest.client import Api
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def test_a_token_learns_whose_it_is_and_how_far_it_reaches(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    member = make_member(acme, Role.PROJECT_OPERATOR, project=acme.project)
    row, secret = make_token(member)
    me = Api(token=secret).get("/me")
    assert me["organization"] == {"organization_id": str(acme.id), "name": "Acme", "slug": "acme"}
    assert (me["kind"], me["id"], me["name"]) == ("token", str(row.id), "planner")
    assert me["membership_id"] == str(member.id)
    assert me["project_ids"] == [str(acme.project.id)]
    assert me["scopes"] == sorted(matrix.scopes_of(Role.PROJECT_OPERATOR))


def test_even_a_token_with_one_scope_may_ask_who_it_is(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    _, secret = make_token(make_member(acme, Role.ORG_OWNER), Scope.AUDIT_READ)
    api = Api(token=secret)
    assert api.get("/me")["scopes"] == ["audit:read"]
    assert api.get("/status")["mcp"] == "/api/cloud/v1/mcp"
