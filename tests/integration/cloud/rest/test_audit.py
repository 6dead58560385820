"""The audit over HTTP. (Taking a copy: tests/integration/cloud/relay/test_rest.py.)"""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from cloud.permissions.roles import Role
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.rest.client import Api, told
from tests.integration.cloud.rest.conftest import MakeApi
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def test_who_did_what_is_found_by_every_filter(owner: Api, acme: Tenant) -> None:
    made = owner.made("/workspaces", {"name": "Front end"})["workspace_id"]
    me = owner.get("/me")
    (event,) = owner.get("/audit?event_type=workspace:created&actor_id=" + me["id"])["items"]
    assert (event["target_kind"], event["target_id"], event["outcome"]) == ("workspace", made, "ok")
    assert (event["actor_kind"], event["actor"]) == ("token", "planner")
    assert owner.get(f"/audit?target_id={made}")["items"] == [event]
    assert owner.get("/audit?failed_only=true")["items"] == []
    told(owner.ask("GET", f"/projects/{made}"))
    assert [row["event_type"] for row in owner.get("/audit?failed_only=true")["items"]] == ["call:denied"]
    soon = quote((datetime.now(UTC) + timedelta(minutes=1)).isoformat())
    assert owner.get(f"/audit?since={soon}")["items"] == []
    assert len(owner.get(f"/audit?until={soon}&event_type=workspace:created")["items"]) == 2


def test_pages_go_back_in_time_and_tell_each_event_once(owner: Api) -> None:
    for number in range(5):
        owner.made("/workspaces", {"name": f"Workspace {number}"})
    seen, cursor = [], ""
    while cursor is not None:
        page = owner.get(f"/audit?limit=2&event_type=workspace:created{cursor and '&cursor=' + cursor}")
        seen += [row["event_id"] for row in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 6
    assert seen == sorted(seen, reverse=True)


def test_who_reaches_some_projects_sees_their_events_only(
    owner: Api, acme: Tenant, make_api: MakeApi, make_member: MakeMember
) -> None:
    api = make_api(acme, member=make_member(acme, Role.PROJECT_OPERATOR, project=acme.project))
    owner.ask("PATCH", f"/projects/{acme.project.id}", {"name": "Till"}, if_match="*")
    other = owner.made("/projects", {"workspace_id": str(acme.workspace.id), "name": "Other"})["project_id"]
    assert {row["project_id"] for row in api.get("/audit")["items"]} == {str(acme.project.id)}
    assert api.get(f"/audit?project_id={other}")["items"] == []
    assert len(owner.get(f"/audit?project_id={other}")["items"]) == 1
    assert told(api.ask("GET", "/audit/counts")) == (403, "forbidden")
    assert told(api.ask("GET", "/audit/export")) == (403, "forbidden")


def test_counts_are_told_with_when_they_were_made(owner: Api) -> None:
    assert owner.get("/audit/counts?period=day") == {"items": [], "counted_at": None}
    assert told(owner.ask("GET", "/audit/counts?period=year")) == (400, "invalid_request")


def test_how_far_the_chain_goes_is_told(owner: Api) -> None:
    chain = owner.get("/audit/chain")
    assert (chain["head_seq"], chain["head_hash"]) == (0, None)
    assert chain["unsealed"] > 0


def test_nothing_is_exported_of_a_stretch_that_holds_nothing(owner: Api) -> None:
    assert told(owner.ask("GET", "/audit/export?first_seq=1000000")) == (416, "range_invalid")


def test_who_takes_a_copy_is_audited_and_told_where_the_rest_begins(owner: Api) -> None:
    answer = owner.ask("GET", "/audit/export?first_seq=1&limit=2")
    assert (answer.status_code, answer.headers["Ropeway-Next-Seq"]) == (200, "3")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audit-1-2.jsonl"'
    (event,) = owner.get("/audit?event_type=audit:exported")["items"]
    assert (event["actor"], event["client_address"], event["outcome"]) == ("planner", "127.0.0.1", "ok")
    assert event["details"] == {"asked": {"first_seq": 1, "limit": 2}, "first_seq": 1, "last_seq": 2, "events": 2}
    assert told(owner.ask("GET", "/audit/export?limit=0")) == (400, "invalid_request")
    assert told(owner.ask("GET", "/audit/export?limit=1000001")) == (400, "invalid_request")
