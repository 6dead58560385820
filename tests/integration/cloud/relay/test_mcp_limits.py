"""A planner that asks too often over MCP: every message counts once, whoever would have refused it."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from cloud.audit.models import AuditEvent
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.relay.test_http import assert_problem
from tests.integration.cloud.relay.test_mcp import CLIENT, CLOUD_MCP, MODERN, SPOKEN

SESSIONS = {**SPOKEN, "MCP-Protocol-Version": "2025-11-25"}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
CALL = {"name": "projects_list", "arguments": {}}


def message_of(method: str, params: Any = None, **facts: Any) -> dict[str, Any]:
    given = {} if params is None else {"params": params}
    return {"jsonrpc": "2.0", "id": 1, "method": method, **given, **facts}


def stateless(method: str, **params: Any) -> dict[str, Any]:
    return message_of(method, {**params, **CLIENT})


def heading(method: str, **others: str) -> dict[str, str]:
    return {**MODERN, "Mcp-Method": method, **others}


@pytest.fixture
async def planner(cloud: Cloud, limited: Site) -> AsyncIterator[httpx.AsyncClient]:
    """A plain client: the official one says more than it is asked to."""
    async with cloud.client(limited.headers) as http:
        yield http


def told(answer: httpx.Response) -> Any:
    return json.loads(answer.text.rpartition("data: ")[2])


def code_of(answer: httpx.Response) -> str | None:
    """What a message was refused with, as a problem, as a protocol error, or in a tool's result."""
    said = told(answer) if answer.content else {}
    if "code" in said:
        return str(said["code"])
    if "error" in said:
        return str(said["error"]["data"]["code"])
    structured = said.get("result", {}).get("structuredContent", {})
    return str(structured["error"]["code"]) if "error" in structured else None


AT_THE_DOOR = {
    "the beginning of a session": (message_of("initialize", HELLO), SPOKEN),
    "a ping": (message_of("ping"), SESSIONS),
    "the tools": (message_of("tools/list"), SESSIONS),
    "the tools, at length": (message_of("tools/list", {"cursor": 5}), SESSIONS),
    "the forms of addresses": (message_of("resources/templates/list"), SESSIONS),
    "a method that there is not": (message_of("tools/eat"), SESSIONS),
    "a method of another kind": ({**message_of(""), "method": ["tools/call"]}, SESSIONS),
    "what is offered, stateless": (stateless("server/discover"), heading("server/discover")),
    "the tools, stateless": (stateless("tools/list"), heading("tools/list")),
    "a method that there is not, stateless": (stateless("tools/eat"), heading("tools/eat")),
    "word of a beginning": ({"jsonrpc": "2.0", "method": "notifications/initialized"}, SESSIONS),
    "word of a beginning, stateless": ({"jsonrpc": "2.0", "method": "notifications/initialized"}, MODERN),
    "a call that is called off": (
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
        SESSIONS,
    ),
    "a tool's call that wants no answer": ({"jsonrpc": "2.0", "method": "tools/call", "params": CALL}, SESSIONS),
    "a tool's call without a name": ({**message_of("tools/call", CALL), "id": None}, SESSIONS),
    "an answer that nobody asked for": ({"jsonrpc": "2.0", "id": 1, "result": {}}, SESSIONS),
    "an error that calls itself a tool's call": (
        {**message_of("tools/call", CALL), "error": {"code": 1, "message": "none"}},
        SESSIONS,
    ),
    "many at once": ([message_of("ping"), message_of("ping")], SESSIONS),
}
REFUSED_BY_THE_SDK = {
    "of no version": ({**message_of("tools/call", CALL), "jsonrpc": "1.0"}, SESSIONS),
    "with a list of parameters": (message_of("tools/call", [1]), SESSIONS),
    "of no version, stateless": ({**stateless("tools/call", **CALL), "jsonrpc": "1.0"}, heading("tools/call")),
    "of a revision that there is not": (
        message_of("tools/call", CALL),
        {**SPOKEN, "MCP-Protocol-Version": "2099-01-01"},
    ),
    "whose head says another method": (stateless("tools/call", **CALL), heading("tools/list")),
    "whose head says another name": (
        stateless("tools/call", **CALL),
        heading("tools/call", **{"Mcp-Name": "runs_get"}),
    ),
    "without what a stateless one says of itself": (message_of("tools/call", CALL), heading("tools/call")),
    "of resources, whose head says another": (
        stateless("resources/read", uri="ropeway://nonsense"),
        heading("resources/list"),
    ),
}


@pytest.mark.parametrize(("message", "headers"), [*AT_THE_DOOR.values(), *REFUSED_BY_THE_SDK.values()],
                         ids=[*AT_THE_DOOR, *REFUSED_BY_THE_SDK])  # fmt: skip
async def test_what_comes_to_no_tool_is_counted_once_and_then_answered_429(
    planner: httpx.AsyncClient, message: Any, headers: dict[str, str]
) -> None:
    answers = [await planner.post(CLOUD_MCP, json=message, headers=headers) for _ in range(3)]
    assert "rate_limited" not in [code_of(answer) for answer in answers[:2]]
    assert_problem(answers[2], "rate_limited", status=429)
    assert 0 < int(answers[2].headers["retry-after"]) <= 60


MALFORMED = {
    "another kind": ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
    "no JSON": ({"content": b"{", "headers": {"content-type": "application/json"}}, 400),
    "an answer in another kind": ({"json": message_of("ping"), "headers": {"accept": "text/html"}}, 406),
}


@pytest.mark.parametrize(("sent", "status"), MALFORMED.values(), ids=MALFORMED.keys())
async def test_what_is_no_message_is_counted_too(planner: httpx.AsyncClient, sent: dict[str, Any], status: int) -> None:
    headers = {**SESSIONS, **sent["headers"]}
    if "accept" in sent["headers"]:
        del headers["Accept"]
    answers = [await planner.post(CLOUD_MCP, **{**sent, "headers": headers}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 429]


HANDLED = {
    "a tool that answers": (message_of("tools/call", CALL), None),
    "a tool that there is not": (message_of("tools/call", {"name": "rm_rf"}), "unsupported_operation"),
    "a tool of the cloud, asked wrongly": (
        message_of("tools/call", {"name": "runs_recent", "arguments": {"limit": "many"}}),
        "invalid_request",
    ),
    "a tool of a machine, asked wrongly": (
        message_of("tools/call", {"name": "runs_list", "arguments": {"colour": "red"}}),
        "invalid_request",
    ),
    "arguments that are none": (message_of("tools/call", {"name": "runs_get", "arguments": []}), "invalid_request"),
    "a resource that there is not": (message_of("resources/read", {"uri": "ropeway://nonsense"}), "not_found"),
    "a resource without an address": (message_of("resources/read", {}), "invalid_request"),
    "a page that there is not": (message_of("resources/list", {"cursor": "nonsense"}), "invalid_request"),
}


@pytest.mark.parametrize(("message", "code"), HANDLED.values(), ids=HANDLED.keys())
async def test_what_comes_to_a_tool_or_resource_is_counted_once_and_told_in_its_answer(
    planner: httpx.AsyncClient, message: Any, code: str | None
) -> None:
    answers = [await planner.post(CLOUD_MCP, json=message, headers=SESSIONS) for _ in range(3)]
    assert [code_of(answer) for answer in answers] == [code, code, "rate_limited"]
    assert answers[2].status_code == 200
    said = told(answers[2])
    facts = said["error"]["data"] if "error" in said else said["result"]["structuredContent"]["error"]
    assert facts["retryable"] is True
    assert 0 < facts["retry_after_s"] <= 60


async def test_calls_of_machines_are_counted_once_too(cloud: Cloud, planner: httpx.AsyncClient, limited: Site) -> None:
    call = {"name": "runs_list", "arguments": {"project_id": limited.project_id}}
    async with cloud.connected(limited):
        message = message_of("tools/call", call)
        answers = [await planner.post(CLOUD_MCP, json=message, headers=SESSIONS) for _ in range(3)]
    assert [code_of(answer) for answer in answers] == [None, None, "rate_limited"]


async def test_stateless_calls_of_tools_are_counted_once_too(planner: httpx.AsyncClient) -> None:
    headers = heading("tools/call", **{"Mcp-Name": "projects_list"})
    answers = [await planner.post(CLOUD_MCP, json=stateless("tools/call", **CALL), headers=headers) for _ in range(3)]
    assert [code_of(answer) for answer in answers] == [None, None, "rate_limited"]


async def test_a_list_of_resources_is_counted_for_who_may_see_none(
    planner: httpx.AsyncClient, limited: Site, make_member: MakeMember, make_token: MakeToken
) -> None:
    _, narrow = await scripted.in_thread(
        lambda: make_token(make_member(limited.tenant, Role.ORG_ADMIN), Scope.PROJECTS_READ)
    )
    headers = {**SESSIONS, "Authorization": f"Bearer {narrow}"}
    answers = [await planner.post(CLOUD_MCP, json=message_of("resources/list"), headers=headers) for _ in range(3)]
    assert [code_of(answer) for answer in answers] == [None, None, "rate_limited"]


async def test_the_audit_says_what_was_asked_too_often_and_nothing_that_was_sent(
    planner: httpx.AsyncClient, limited: Site
) -> None:
    for _ in range(4):
        await planner.post(CLOUD_MCP, json=message_of("a secret" * 1000), headers=SESSIONS)
    await planner.post(CLOUD_MCP, json=message_of("ping"), headers=SESSIONS)

    def reached() -> list[Any]:
        with scope.organization(limited.tenant.id):
            return list(AuditEvent.objects.filter(event_type="limit:reached").values_list("details", flat=True))

    (details,) = await scripted.in_thread(reached)
    assert (details["operation"], details["code"]) == ("mcp", "rate_limited")
