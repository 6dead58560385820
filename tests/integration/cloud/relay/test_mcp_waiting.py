"""Calls that take long: whoever waits is told so, and whoever goes is waited for no more."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from cloud.dispatch import services as dispatch
from cloud.dispatch.models import OperationCall
from cloud.tenancy import scope
from local_daemon.protocol import limits
from local_daemon.protocol.operations import REMOTE_OPERATIONS
from relay.mcp_server import server
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.relay.test_mcp import CLIENT, CLOUD_MCP, MODERN, SPOKEN, STEP, client

WAIT = {"step_id": STEP["step_id"], "timeout_s": 30}
CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/call"}
SESSIONS = {**SPOKEN, "MCP-Protocol-Version": "2025-11-25"}
BOTH = pytest.mark.parametrize("mode", ["auto", "legacy"])


class Held:
    """A machine that answers when it is let."""

    def __init__(self) -> None:
        self.asked, self.released = asyncio.Event(), asyncio.Event()

    async def __call__(self, connector: scripted.ScriptedConnector, request: Any) -> None:
        self.asked.set()
        await self.released.wait()
        body = {"step": STEP, "timed_out": True}
        await connector.send(scripted.envelopes.Response(call_id=request.call_id, status=200, body=body))


async def until(claim: Callable[[], bool]) -> None:
    """Wait for what follows from a message that nobody answers."""
    async with asyncio.timeout(60):
        while not claim():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0)


def is_waited_for() -> bool:
    return dispatch.carried()[1] > 0


@asynccontextmanager
async def waiting(cloud: Cloud, site: Site, held: Held) -> AsyncIterator[None]:
    """A linked machine; nobody is waited for in the end, and its late answer still counts."""
    async with cloud.connected(site, answering=held):
        yield
        await until(lambda: not is_waited_for())
        held.released.set()
        await until_answered(site)


async def until_answered(site: Site) -> None:
    def state() -> str:
        with scope.organization(site.tenant.id):
            return OperationCall.objects.values_list("state", flat=True).get()

    async with asyncio.timeout(60):
        while await scripted.in_thread(state) != "answered":
            pass


def test_every_answer_comes_before_a_client_gives_up() -> None:
    assert max(operation.deadline_s_max for operation in REMOTE_OPERATIONS.values()) <= 45
    assert limits.WAIT_S_MAX == 30
    for operation in REMOTE_OPERATIONS.values():
        assert operation.deadline_s <= operation.deadline_s_max


@BOTH
async def test_whoever_asked_to_be_told_hears_that_the_wait_goes_on(
    cloud: Cloud, site: Site, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PROGRESS_S", 0.05)
    held, told = Held(), []

    async def progress(waited_s: float, total: float | None, message: str | None) -> None:
        told.append((waited_s, message))
        if len(told) == 2:
            held.released.set()

    async with cloud.connected(site, answering=held), client(cloud, site.token, mode=mode) as planner:
        arguments = {"project_id": site.project_id, **WAIT}
        result = await planner.call_tool("steps_wait", arguments, progress_callback=progress)
    assert result.structured_content["timed_out"] is True
    assert [waited_s for waited_s, _ in told[:2]] == [0.05, 0.1]
    assert told[0][1] == "waiting for the answer"


@pytest.mark.parametrize("timeout_s", [30.5, 31, -1, "soon", True])
async def test_no_wait_is_longer_than_a_client_waits(cloud: Cloud, site: Site, timeout_s: Any) -> None:
    async with cloud.connected(site), client(cloud, site.token) as planner:
        arguments = {"project_id": site.project_id, **WAIT, "timeout_s": timeout_s}
        result = await planner.call_tool("steps_wait", arguments)
    assert result.structured_content["error"]["code"] == "invalid_request"


@BOTH
async def test_a_client_that_calls_off_is_waited_for_no_more(cloud: Cloud, site: Site, mode: str) -> None:
    held = Held()
    async with waiting(cloud, site, held), client(cloud, site.token, mode=mode) as planner:
        with anyio.CancelScope() as calling:
            async with anyio.create_task_group() as tasks:

                async def leave() -> None:
                    await held.asked.wait()
                    await until(is_waited_for)
                    calling.cancel()

                tasks.start_soon(leave)
                await planner.call_tool("steps_wait", {"project_id": site.project_id, **WAIT})
        assert calling.cancelled_caught
        await until(lambda: not is_waited_for())
        assert (await planner.call_tool("projects_list", {})).is_error is not True, "the client goes on"


@pytest.mark.parametrize("spoken", [SESSIONS, MODERN], ids=["sessions", "stateless"])
async def test_a_client_that_hangs_up_is_waited_for_no_more(cloud: Cloud, site: Site, spoken: dict[str, str]) -> None:
    held = Held()
    params: dict[str, Any] = {"name": "steps_wait", "arguments": {"project_id": site.project_id, **WAIT}}
    if spoken is MODERN:
        spoken = {**MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "steps_wait"}
        params |= CLIENT
    async with (
        waiting(cloud, site, held),
        cloud.client(site.headers) as http,
    ):
        calling = asyncio.create_task(http.post(CLOUD_MCP, json={**CALL, "params": params}, headers=spoken))
        await held.asked.wait()
        await until(is_waited_for)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling


async def test_only_the_session_that_asked_calls_off(cloud: Cloud, site: Site, other_site: Site) -> None:
    held = Held()
    params = {"name": "steps_wait", "arguments": {"project_id": site.project_id, **WAIT}}
    stop = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": CALL["id"]}}
    hello = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    async with (
        waiting(cloud, site, held),
        cloud.client(site.headers) as http,
    ):
        begun = await http.post(CLOUD_MCP, json={**CALL, "method": "initialize", "params": hello}, headers=SESSIONS)
        mine = {**SESSIONS, "Mcp-Session-Id": begun.headers["mcp-session-id"]}
        calling = asyncio.create_task(http.post(CLOUD_MCP, json={**CALL, "params": params}, headers=mine))
        await held.asked.wait()
        await until(is_waited_for)
        strangers = (
            (SESSIONS, stop),
            ({**mine, "Mcp-Session-Id": "0" * 32}, stop),
            ({**mine, **other_site.headers}, stop),
            (mine, {**stop, "params": {"requestId": 8}}),
        )
        for headers, message in strangers:
            assert (await http.post(CLOUD_MCP, json=message, headers=headers)).status_code == 202
        assert not calling.done()
        assert (await http.post(CLOUD_MCP, json=stop, headers=mine)).status_code == 202
        answer = await calling
    assert answer.status_code == 200
    assert "result" not in answer.text, json.dumps(answer.text)


@pytest.mark.parametrize("spoken", [SESSIONS, MODERN], ids=["sessions", "stateless"])
async def test_under_daphne_too_a_client_that_hangs_up_is_waited_for_no_more(
    elsewhere: Cloud, site: Site, spoken: dict[str, str]
) -> None:
    held = Held()
    params: dict[str, Any] = {"name": "steps_wait", "arguments": {"project_id": site.project_id, **WAIT}}
    if spoken is MODERN:
        spoken = {**MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "steps_wait"}
        params |= CLIENT
    async with (
        elsewhere.connected(site, answering=held),
        elsewhere.client(site.headers) as http,
        elsewhere.client() as operator,
    ):

        async def waited_for(count: int) -> None:
            async with asyncio.timeout(60):
                while f"ropeway_calls_pending {count}.0" not in (await operator.get("/metrics")).text:
                    pass

        calling = asyncio.create_task(http.post(CLOUD_MCP, json={**CALL, "params": params}, headers=spoken))
        await held.asked.wait()
        await waited_for(1)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await waited_for(0)
        held.released.set()
