"""A caller who asks too often, as HTTP and MCP tell it."""

import asyncio
import json
from typing import Any

import httpx
import mcp
import pytest

from cloud.limits import services, standings
from cloud.limits.allowances import Allowance
from cloud.tenancy import scope
from local_daemon.protocol import limits
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.relay.test_http import assert_problem
from tests.integration.cloud.relay.test_mcp import CLOUD_MCP, client


def message_of(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


@pytest.fixture
def limited(site: Site) -> Any:
    """The site's organization may make two calls."""
    with scope.organization(site.tenant.id):
        services.organization_limits_set(
            organization_id=site.tenant.id,
            allowance=Allowance(calls_per_minute=1, calls_burst=2),
            actor=site.tenant.principal(),
        )
    yield site
    standings.standings_forget()


async def test_http_says_429_and_when_to_retry(cloud: Cloud, limited: Site) -> None:
    async with cloud.connected(limited) as machine, cloud.planner(limited) as planner:
        answers = [await planner.get("/runs") for _ in range(3)]
        assert len(await machine.requests(2)) == 2
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert_problem(answers[2], "rate_limited")
    assert 0 < int(answers[2].headers["retry-after"]) <= 60


async def test_mcp_says_so_in_its_result(cloud: Cloud, limited: Site) -> None:
    async with cloud.connected(limited), cloud.planner(limited) as first, client(cloud, limited.token) as planner:
        for _ in range(2):
            await first.get("/runs")
        result = await planner.call_tool("runs_list", {"project_id": limited.project_id})
    assert result.is_error
    told = result.structured_content["error"]
    assert (told["code"], told["retryable"]) == ("rate_limited", True)
    assert 0 < told["retry_after_s"] <= 60


async def test_tool_calls_that_do_not_hold_are_counted_too(cloud: Cloud, limited: Site) -> None:
    wrong = (("runs_list", {"project_id": limited.project_id, "colour": "red"}), ("runs_recent", {"limit": "many"}))
    async with client(cloud, limited.token) as planner:
        told = [(await planner.call_tool(*asked)).structured_content["error"]["code"] for asked in (*wrong, *wrong)]
    assert told == ["invalid_request", "invalid_request", "rate_limited", "rate_limited"]


async def test_two_processes_share_one_rate(cloud: Cloud, elsewhere: Cloud, limited: Site) -> None:
    async with cloud.connected(limited), cloud.planner(limited) as here, elsewhere.planner(limited) as there:
        statuses = [(await planner.get("/runs")).status_code for planner in (here, there, here, there)]
    assert statuses == [200, 200, 429, 429]
    await scripted.in_thread(standings.standings_forget)


LONG = {
    "of no kind that is taken": {"content": b"x" * 70_000, "headers": {"content-type": "text/plain"}},
    "too long": {"content": b"x" * (limits.BODY_BYTES + 1), "headers": {"content-type": "application/json"}},
}


@pytest.mark.parametrize("sent", LONG.values(), ids=LONG.keys())
async def test_long_bodies_that_are_refused_unread_or_read_are_counted_once_each(
    cloud: Cloud, limited: Site, sent: dict[str, Any]
) -> None:
    async with cloud.planner(limited) as planner:
        statuses = [(await planner.post("/runs", **sent)).status_code for _ in range(4)]
        assert (await planner.get("/runs")).status_code == 429
    assert 429 not in statuses[:2]
    assert statuses[2:] == [429, 429]


async def test_a_long_body_that_does_not_come_in_time_is_counted(
    cloud: Cloud, limited: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BODY_S", 0.2)
    told = []
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", cloud.port)
        head = f"POST /api/v2/projects/{limited.project_id}/runs HTTP/1.1\r\nhost: 127.0.0.1:{cloud.port}\r\n"
        head += f"authorization: {limited.headers['Authorization']}\r\ncontent-length: 70000\r\n\r\n"
        writer.write(head.encode() + b"{")
        told.append(int((await reader.readline()).split()[1]))
        writer.close()
        await writer.wait_closed()
    assert told == [408, 408, 429]


async def test_a_long_body_that_holds_is_counted_once(cloud: Cloud, limited: Site) -> None:
    body = {"objective": "Keep up. " * 5000, "title": "t"}
    pad = {"headers": {"content-type": "application/json"}, "content": json.dumps(body).encode() + b" " * 70_000}
    async with cloud.connected(limited), cloud.planner(limited) as planner:
        statuses = [(await planner.post("/runs", **pad)).status_code for _ in range(3)]
    assert [status == 429 for status in statuses] == [False, False, True]


async def test_asking_what_came_of_a_call_is_counted(cloud: Cloud, limited: Site) -> None:
    async with cloud.planner(limited) as planner:
        path = f"{cloud.url}/api/v2/calls/call_{'0' * 26}"
        assert [(await planner.get(path)).status_code for _ in range(3)] == [404, 404, 429]


async def told_of(asking: Any) -> str:
    """The code of what an MCP request was refused with."""
    try:
        result = await asking
    except mcp.MCPError as error:
        return str(error.error.data["code"])
    return str(result.structured_content["error"]["code"])


NAMES_NOTHING = {
    "a resource": (lambda planner: planner.read_resource("ropeway://nonsense"), "not_found"),
    "a tool": (lambda planner: planner.call_tool("no_such_tool", {}), "unsupported_operation"),
    "a page of resources": (lambda planner: planner.list_resources(cursor="nonsense"), "invalid_request"),
}


@pytest.mark.parametrize(("ask", "code"), NAMES_NOTHING.values(), ids=NAMES_NOTHING.keys())
async def test_mcp_requests_that_name_nothing_are_counted(cloud: Cloud, limited: Site, ask: Any, code: str) -> None:
    async with client(cloud, limited.token) as planner:
        assert [await told_of(ask(planner)) for _ in range(3)] == [code, code, "rate_limited"]


MALFORMED = {
    "parameters that do not fit": ({"json": message_of("resources/read", {})}, 200),
    "another kind": ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
    "no JSON": ({"content": b"{", "headers": {"content-type": "application/json"}}, 400),
}


@pytest.mark.parametrize(("sent", "status"), MALFORMED.values(), ids=MALFORMED.keys())
async def test_mcp_requests_that_no_tool_sees_are_counted(
    cloud: Cloud, limited: Site, sent: dict[str, Any], status: int
) -> None:
    headers = {**limited.headers, "accept": "application/json, text/event-stream", **sent.get("headers", {})}
    async with httpx.AsyncClient(base_url=cloud.url, trust_env=False, timeout=30) as planner:
        answers = [await planner.post(CLOUD_MCP, **{**sent, "headers": headers}) for _ in range(3)]
    assert [answer.status_code for answer in answers[:2]] == [status, status]
    assert "rate_limited" in answers[2].text
    assert "rate_limited" not in answers[1].text
