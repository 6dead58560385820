"""Tokens over HTTP, and their limits."""

from datetime import UTC, datetime, timedelta

import pytest

from cloud.access.models import TokenKind
from cloud.permissions.roles import Role
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.rest.client import Api, told
from tests.integration.cloud.rest.conftest import MakeApi
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def test_a_token_is_minted_shown_once_used_and_revoked_at_once(owner: Api) -> None:
    made = owner.made("/tokens", {"name": "ci", "scopes": ["projects:read"], "kind": "service"})
    assert made["secret"].startswith(made["prefix"])
    minted = Api(token=made["secret"])
    assert [row["name"] for row in minted.get("/projects")["items"]] == ["Acme project"]
    assert told(minted.ask("GET", "/workspaces")) == (403, "forbidden")
    path = f"/tokens/{made['token_id']}"
    assert "secret" not in owner.get(path)
    assert "secret" not in owner.get("/tokens?search=ci")["items"][0]
    assert owner.ask("POST", f"{path}/revoke").json()["state"] == "revoked"
    assert told(minted.ask("GET", "/projects")) == (401, "unauthenticated")
    assert owner.get("/tokens?state=revoked")["items"][0]["token_id"] == made["token_id"]


def test_a_token_never_does_more_than_its_maker(acme: Tenant, make_api: MakeApi, make_member: MakeMember) -> None:
    operator = make_api(acme, member=make_member(acme, Role.PROJECT_OPERATOR, project=acme.project))
    refused = operator.ask("POST", "/tokens", {"name": "more", "scopes": ["members:write"]})
    assert told(refused) == (403, "forbidden")
    assert refused.json()["attributes"] == {"scopes": ["members:write"]}
    planner = {"name": "planner", "kind": "planner", "scopes": ["tokens:write"]}
    assert told(operator.ask("POST", "/tokens", planner)) == (403, "forbidden")


def test_a_rotated_token_goes_on_beside_the_new_one_for_its_overlap(owner: Api) -> None:
    made = owner.made("/tokens", {"name": "ci", "scopes": ["runs:read"]})
    rotated = owner.made(f"/tokens/{made['token_id']}/rotate", {"overlap_s": 3600})
    assert rotated["secret"] != made["secret"]
    assert Api(token=made["secret"]).get("/runs") == {"items": [], "next_cursor": None}
    assert Api(token=rotated["secret"]).get("/runs")["items"] == []
    at_once = owner.made(f"/tokens/{rotated['token_id']}/rotate", {})
    assert told(Api(token=rotated["secret"]).ask("GET", "/runs")) == (401, "unauthenticated")
    assert Api(token=at_once["secret"]).get("/runs")["items"] == []


def test_a_token_that_expires_in_the_past_is_not_made(owner: Api) -> None:
    gone = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    wanted = {"name": "x", "scopes": ["runs:read"], "expires_at": gone}
    assert told(owner.ask("POST", "/tokens", wanted)) == (400, "invalid_request")


def test_a_services_token_is_adopted_and_a_persons_is_not(
    owner: Api, acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    holder = make_member(acme, Role.PROJECT_OPERATOR, project=acme.project)
    service, _ = make_token(holder, Scope.RUNS_READ, kind=TokenKind.SERVICE)
    personal, _ = make_token(holder, Scope.RUNS_READ)
    adopted = owner.ask("POST", f"/tokens/{service.id}/adopt")
    assert adopted.json()["membership_id"] == owner.get("/me")["membership_id"]
    assert told(owner.ask("POST", f"/tokens/{personal.id}/adopt")) == (409, "invalid_transition")


def test_a_tokens_limits_are_set_and_changed_only_as_they_were_seen(owner: Api) -> None:
    made = owner.made("/tokens", {"name": "ci", "scopes": ["runs:read"]})
    path = f"/tokens/{made['token_id']}/limits"
    before = owner.ask("GET", path)
    assert before.json()["version"] == 0
    assert before.headers["ETag"].startswith('"0-')
    after = owner.ask("PUT", path, {"calls_per_minute": 30, "runs_at_once": 0}, if_match='"0"')
    assert after.json()["own"] == {
        "calls_per_minute": 30, "calls_burst": None, "runs_at_once": 0, "artifact_bytes_per_day": None,
        "cost_micros_per_month": None,
    }  # fmt: skip
    assert after.headers["ETag"].startswith('"1-')
    assert told(owner.ask("PUT", path, {}, if_match='"0"')) == (412, "precondition_failed")
    assert told(owner.ask("PUT", path, {"calls_burst": 5}, if_match="*")) == (400, "invalid_request")


def test_a_token_does_not_set_its_own_limits(owner: Api) -> None:
    own = owner.get("/me")["id"]
    assert told(owner.ask("PUT", f"/tokens/{own}/limits", {}, if_match="*")) == (403, "forbidden")
