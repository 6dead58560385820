"""A planner's calls over MCP, with the official client."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import mcp
import pytest
from mcp.client.streamable_http import streamable_http_client

from cloud.connectors.models import Location
from cloud.permissions.roles import Role
from cloud.runs.models import GateSnapshot
from cloud.tenancy import scope
from local_daemon.protocol import errors, limits
from local_daemon.protocol.operations import REMOTE_OPERATIONS
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.relay.test_http import assert_problem, calls_of

CLOUD_MCP = "/api/cloud/v1/mcp"
STEP = {
    "step_id": "step_" + "0" * 26,
    "run_id": "run_" + "0" * 26,
    "repository_id": "repo_" + "0" * 26,
    "title": "t",
    "executor": "patch",
    "state": "queued",
    "attempts": 0,
    "task_digest": "0" * 64,
    "created_at": "2026-11-21T00:00:00Z",
    "updated_at": "2026-11-21T00:00:00Z",
}


@asynccontextmanager
async def client(cloud: Cloud, token: str, path: str = CLOUD_MCP, **settings: Any) -> AsyncIterator[mcp.Client]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        mcp.Client(streamable_http_client(f"{cloud.url}{path}", http_client=http), **settings) as opened,
    ):
        yield opened


async def test_every_remote_operation_is_a_tool_beside_what_can_be_read_of_the_cloud(cloud: Cloud, site: Site) -> None:
    async with client(cloud, site.token) as planner:
        names = {tool.name for tool in (await planner.list_tools()).tools}
    assert {operation.tool_name for operation in REMOTE_OPERATIONS.values()} <= names
    assert {"projects_list", "audit_rollup", "audit_events", "connectors_list"} <= names
    assert "tokens_mint" not in names


async def test_a_planner_sees_only_tools_that_its_token_may_use(
    cloud: Cloud, site: Site, make_member: MakeMember, make_token: MakeToken
) -> None:
    async with client(cloud, site.token) as planner:
        everything = {tool.name for tool in (await planner.list_tools()).tools}
    _, narrow = await scripted.in_thread(lambda: make_token(make_member(site.tenant, Role.ORG_ADMIN), Scope.RUNS_READ))
    async with client(cloud, narrow) as planner:
        names = {tool.name for tool in (await planner.list_tools()).tools}
    assert names < everything
    assert "runs_get" in names
    assert "runs_create" not in names


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_task_travels_whole_as_the_tools_flat_arguments(cloud: Cloud, site: Site, mode: str) -> None:
    async def answer(connector: scripted.ScriptedConnector, request: Any) -> None:
        body = {"step": {**STEP, "title": request.body["task"]["goal"]}, "created": True}
        await connector.send(scripted.envelopes.Response(call_id=request.call_id, status=202, body=body))

    async with cloud.connected(site, answering=answer) as machine, client(cloud, site.token, mode=mode) as planner:
        result = await planner.call_tool(
            "steps_submit",
            {
                "project_id": site.project_id,
                "run_id": STEP["run_id"],
                "name": "one",
                "task": {"goal": "Say hello.", "executor": "patch", "patch": "--- a\n+++ b\n"},
            },
        )
        (request,) = await machine.requests()
    assert not result.is_error, result
    assert result.structured_content["step"]["title"] == "Say hello."
    assert request.operation == "steps.submit"
    assert request.parameters == {"repository_id": site.repository_id, "run_id": STEP["run_id"]}
    assert request.body["name"] == "one"
    assert request.actor.startswith("token:")


async def test_an_error_of_the_table_is_a_result_that_a_planner_can_act_on(cloud: Cloud, site: Site) -> None:
    refusing = scripted.answer_error(errors.GateDecided())
    async with cloud.connected(site, answering=refusing), client(cloud, site.token) as planner:
        result = await planner.call_tool("gates_get", {"project_id": site.project_id, "gate_id": "gate_" + "0" * 26})
    assert result.is_error
    assert result.structured_content["error"]["code"] == "gate_decided"
    assert result.structured_content["error"]["retryable"] is False


async def test_an_argument_that_a_tool_does_not_take_is_named(cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site), client(cloud, site.token) as planner:
        result = await planner.call_tool(
            "runs_create", {"project_id": site.project_id, "objective": "Try it.", "objektive": 1}
        )
    assert result.is_error
    assert result.structured_content["error"]["code"] == "invalid_request"
    assert "objektive" in result.structured_content["error"]["detail"]


async def test_content_comes_in_pieces_that_add_up(cloud: Cloud, site: Site) -> None:
    content = bytes(range(256)) * 3000
    taken = b""
    offset: int | None = 0
    async with (
        cloud.connected(site, answering=scripted.answer_content(content)),
        client(cloud, site.token) as planner,
    ):
        while offset is not None:
            result = await planner.call_tool(
                "artifacts_content",
                {"project_id": site.project_id, "artifact_id": "art_" + "0" * 26, "offset": offset},
            )
            assert not result.is_error, result
            taken += base64.b64decode(result.structured_content["base64"])
            offset = result.structured_content["next_offset"]
    assert taken == content


async def test_projects_say_where_they_are_and_whether_that_is_connected(cloud: Cloud, site: Site) -> None:
    async with client(cloud, site.token) as planner, cloud.connected(site):
        (linked,) = (await planner.call_tool("projects_list", {})).structured_content["items"]
    assert linked["project_id"] == site.project_id
    assert [place["is_online"] for place in linked["locations"]] == [True]


async def test_a_gate_found_over_all_projects_is_decided_on_its_machine(cloud: Cloud, site: Site) -> None:
    gate_id, digest = "gate_" + "0" * 26, "1" * 64

    def heard_of() -> None:
        with scope.organization(site.tenant.id):
            location = Location.objects.get(project_id=site.tenant.project.id)
            GateSnapshot.objects.create(
                organization_id=site.tenant.id, project_id=location.project_id, location_id=location.id,
                run_id=STEP["run_id"], step_id=STEP["step_id"], gate_id=gate_id, kind="after", state="open",
                digest=digest, as_of=STEP["created_at"], expires_at=STEP["created_at"], seq=1, view={"reason": "asked"},
            )  # fmt: skip

    deciding = scripted.answer_error(errors.GateDecided())
    async with cloud.connected(site, answering=deciding) as machine, client(cloud, site.token) as planner:
        await scripted.in_thread(heard_of)
        (found,) = (await planner.call_tool("gates_waiting", {})).structured_content["items"]
        named = {"project_id": found["project_id"], "location": found["location_id"], "gate_id": found["gate_id"]}
        await planner.call_tool("gates_decide", {**named, "decision": "approve", "digest": found["digest"]})
        (request,) = await machine.requests()
    assert (request.operation, request.body) == ("gates.decide", {"decision": "approve", "digest": digest})
    assert request.parameters == {"gate_id": gate_id, "repository_id": site.repository_id}


@pytest.mark.parametrize("path", [CLOUD_MCP, "/mcp"])
async def test_without_a_good_token_nothing_is_answered(cloud: Cloud, path: str) -> None:
    async with cloud.client() as http:
        answer = await http.post(f"{cloud.url}{path}", headers={"Authorization": "Bearer rw_nothing"}, json={})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
SPOKEN = {"Accept": "application/json, text/event-stream"}
MODERN = {
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/list",
    **SPOKEN,
}
CLIENT = {
    "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
}


@pytest.mark.parametrize("path", [CLOUD_MCP, "/mcp"])
@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"headers": {"Origin": "https://evil.example"}}, 403, "forbidden"),
        ({"headers": {"Host": "evil.example"}}, 421, "forbidden"),
        ({"headers": {"Accept": "text/html"}}, 406, "invalid_request"),
        ({"headers": {"Accept": "application/json"}}, 406, "invalid_request"),
        ({"headers": {"Content-Type": "text/plain"}}, 415, "invalid_request"),
        ({"headers": {"Content-Type": "application/jsonp"}}, 415, "invalid_request"),
        ({"headers": {"Authorization": ""}}, 401, "unauthenticated"),
        ({"headers": {"Authorization": "Basic x"}}, 401, "unauthenticated"),
        ({"method": "GET"}, 405, "method_not_allowed"),
        ({"method": "DELETE"}, 405, "method_not_allowed"),
        ({"method": "OPTIONS"}, 405, "method_not_allowed"),
        ({"content": b""}, 400, "invalid_request"),
        ({"content": b"{"}, 400, "invalid_request"),
        ({"content": b"[]"}, 400, "invalid_request"),
        ({"content": b"1"}, 400, "invalid_request"),
        ({"content": b"\xff\xfe"}, 400, "invalid_request"),
        ({"content": b"[" * 200_000}, 400, "invalid_request"),
        ({"content": b'{"jsonrpc":"2.0","id":1,"method":"tools/\\ud800"}'}, 400, "invalid_request"),
        ({"content": b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"ping"}'}, 400, "invalid_request"),
        ({"content": b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}'}, 400, "invalid_request"),
        ({"content": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}'}, 400, "invalid_request"),
        ({"content": b" " * (limits.BODY_BYTES + 1)}, 413, "payload_too_large"),
    ],
)
@pytest.mark.parametrize("spoken", [SPOKEN, MODERN], ids=["sessions", "stateless"])
async def test_what_is_no_message_is_refused_with_a_problem(
    cloud: Cloud, site: Site, path: str, changed: dict[str, Any], status: int, code: str, spoken: dict[str, str]
) -> None:
    headers = {"Content-Type": "application/json", **spoken, **changed.get("headers", {})}
    content = changed.get("content", json.dumps(LIST).encode())
    async with cloud.client(site.headers) as http:
        answer = await http.request(changed.get("method", "POST"), path, content=content, headers=headers)
    assert_problem(answer, code, status=status)
    assert ("allow" in answer.headers) == (status == 405)
    assert answer.headers.get("www-authenticate", "").startswith("Bearer") == (status == 401)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"method": "tools/eat", "params": {}}, "unsupported_operation"),
        ({"method": "tools/call", "params": {"name": 5}}, "invalid_request"),
        ({"method": "tools/call", "params": {"name": "rm_rf", "arguments": {}}}, "unsupported_operation"),
        ({"method": "tools/call", "params": {"name": "runs_get", "arguments": []}}, "invalid_request"),
        ({"method": "tools/call"}, "invalid_request"),
    ],
)
@pytest.mark.parametrize("spoken", [SPOKEN, MODERN], ids=["sessions", "stateless"])
async def test_a_protocol_error_says_our_code_beside_its_own(
    cloud: Cloud, site: Site, message: dict[str, Any], code: str, spoken: dict[str, str]
) -> None:
    params = message.get("params", {})
    if spoken is MODERN:
        name = {"Mcp-Name": str(params["name"])} if "name" in params else {}
        spoken = {**spoken, "Mcp-Method": message["method"], **name}
        message = {**message, "params": {**params, **CLIENT}}
    async with cloud.client(site.headers) as http:
        answer = await http.post(CLOUD_MCP, json={"jsonrpc": "2.0", "id": 7, **message}, headers=spoken)
    spoken_back = json.loads(answer.text.rpartition("data: ")[2])
    assert spoken_back["id"] == 7
    assert spoken_back["error"]["code"] < 0
    assert spoken_back["error"]["data"]["code"] == code, answer.text
    assert spoken_back["error"]["data"]["retryable"] is False


async def test_a_revision_we_do_not_speak_is_told_which_we_do(cloud: Cloud, site: Site) -> None:
    headers = {**MODERN, "MCP-Protocol-Version": "2099-01-01"}
    meta = {"io.modelcontextprotocol/protocolVersion": "2099-01-01", "io.modelcontextprotocol/clientCapabilities": {}}
    async with cloud.client(site.headers) as http:
        answer = await http.post(CLOUD_MCP, json={**LIST, "params": {"_meta": meta}}, headers=headers)
    told = answer.json()["error"]["data"]
    assert (answer.status_code, told["code"]) == (400, "protocol_mismatch")
    assert "2026-07-28" in told["supported"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"run_id": "../.."},
        {"run_id": 5},
        {"run_id": None},
        {"run_id": "run_" + "0" * 26, "\x00": 1},
        {"run_id": "run_" + "0" * 26, "location": ["x"]},
        {"run_id": "run_" + "0" * 26, "location": "\x00"},
        {"run_id": "run_" + "0" * 26, "repository_id": "repo_" + "0" * 26},
        {},
    ],
)
async def test_a_tools_bad_arguments_are_named_and_change_nothing(
    cloud: Cloud, site: Site, arguments: dict[str, Any]
) -> None:
    async with cloud.connected(site) as machine, client(cloud, site.token) as planner:
        result = await planner.call_tool("runs_get", {"project_id": site.project_id, **arguments})
        assert not [frame for frame in machine.received if isinstance(frame, scripted.envelopes.Request)]
    assert result.is_error
    assert result.structured_content["error"]["code"] == "invalid_request"
    assert await scripted.in_thread(lambda: calls_of(site)) == []


@pytest.mark.parametrize("project_id", ["", "\x00", "../..", "not-one", 5, None, "0" * 5000])
async def test_a_project_that_cannot_be_is_not_found_or_refused(cloud: Cloud, site: Site, project_id: Any) -> None:
    async with client(cloud, site.token) as planner:
        result = await planner.call_tool("runs_list", {"project_id": project_id})
    assert result.is_error
    assert result.structured_content["error"]["code"] in ("not_found", "invalid_request")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("audit_events", {"event_type": "\x00"}),
        ("audit_events", {"limit": True}),
        ("audit_events", {"limit": 10**30}),
        ("audit_events", {"cursor": "../.."}),
        ("audit_rollup", {"period": "century"}),
        ("projects_list", {"surprise": 1}),
    ],
)
async def test_the_clouds_own_tools_refuse_bad_arguments_too(
    cloud: Cloud, site: Site, tool: str, arguments: dict[str, Any]
) -> None:
    async with client(cloud, site.token) as planner:
        result = await planner.call_tool(tool, arguments)
    assert result.is_error
    assert result.structured_content["error"]["code"] == "invalid_request"


async def test_the_relay_serves_the_same_tools_beside_itself(cloud: Cloud, site: Site) -> None:
    async with client(cloud, site.token, path="/mcp") as planner:
        names = {tool.name for tool in (await planner.list_tools()).tools}
    assert names == {operation.tool_name for operation in REMOTE_OPERATIONS.values()} | {"projects_list"}
