"""The daemon's own MCP endpoint, spoken to by the SDK's client over both transports, and the older bridge beside it."""

import json
import select
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import mcp
import pytest
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.integration.daemon.door import Door
from tests.integration.daemon.shell import CHECKOUT, Operator


@asynccontextmanager
async def over_http(door: Door, **headers: str) -> AsyncIterator[mcp.Client]:
    shown = {"Authorization": f"Bearer {door.token}", **headers}
    url = f"http://127.0.0.1:{door.address['port']}/mcp"
    async with (
        httpx2.AsyncClient(headers=shown) as http,
        mcp.Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


@asynccontextmanager
async def over_stdio(operator: Operator) -> AsyncIterator[mcp.Client]:
    command, *arguments = operator.argv("mcp")
    started = StdioServerParameters(command=command, args=arguments, env=operator.env, cwd=operator.repository)
    async with mcp.Client(stdio_client(started)) as client:
        yield client


async def tell(client: mcp.Client, tool: str, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    return result.structured_content


async def work_through(client: mcp.Client, repository: Path) -> dict[str, Any]:
    """From a repository to a result, by tools only."""
    repository_id = (await tell(client, "repositories_add", path=str(repository)))["repository_id"]
    run = (await tell(client, "runs_create", repository_id=repository_id, objective="o"))["run"]
    place = {"repository_id": repository_id, "run_id": run["run_id"]}
    step = (await tell(client, "steps_submit", **place, task={"goal": "g", "executor": "fake-success"}))["step"]
    found = {"repository_id": repository_id, "step_id": step["step_id"]}
    waited = await tell(client, "steps_wait", **found, timeout_s=25)
    assert waited["step"]["state"] == "completed"
    return dict(await tell(client, "steps_result", **found))


async def test_a_planner_works_through_a_task_over_http(door: Door, repository: Path) -> None:
    async with over_http(door) as client:
        result = await work_through(client, repository)
        assert [change["path"] for change in result["changes"]] == ["fake-success.txt"]
        place = {"repository_id": door.repository_add(repository), "artifact_id": result["patch"]["artifact_id"]}
        piece = await tell(client, "artifacts_content", **place)
    assert "fake-success.txt" in piece["text"]
    assert piece["next_offset"] is None


async def test_a_planner_works_through_a_task_over_stdio(newcomer: Operator) -> None:
    async with over_stdio(newcomer) as client:
        assert len((await client.list_tools()).tools) > 20
        assert (await work_through(client, newcomer.repository))["state"] == "completed"


async def test_a_refusal_is_a_result_that_a_planner_can_act_on(door: Door, repository_id: str) -> None:
    async with over_http(door) as client:
        for arguments, code in (
            ({"repository_id": repository_id, "run_id": "run_01j00000000000000000000000"}, "not_found"),
            ({"repository_id": repository_id, "run_id": "x"}, "invalid_request"),
            ({"repository_id": repository_id, "nothing": 1}, "invalid_request"),
        ):
            result = await client.call_tool("runs_get", arguments)
            assert result.is_error
            assert result.structured_content["error"]["code"] == code


async def test_a_piece_of_an_artifact_says_where_the_next_begins(door: Door, repository: Path) -> None:
    async with over_http(door) as client:
        result = await work_through(client, repository)
        place = {"repository_id": door.repository_add(repository), "artifact_id": result["patch"]["artifact_id"]}
        first = await tell(client, "artifacts_content", **place, length=10)
        rest = await tell(client, "artifacts_content", **place, offset=first["next_offset"])
    assert len(first["text"] + rest["text"]) == first["size_bytes"]


# -- the transport


def post(door: Door, path: str, content: Any, **headers: str) -> Any:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return door.http.post(
        f"http://localhost{path}", content=body, headers={"Content-Type": "application/json", **headers}
    )


PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


def test_a_web_page_or_a_stranger_gets_nothing(door: Door) -> None:
    assert post(door, "/mcp", PING, Origin="https://evil.example").status_code == 403
    assert post(door, "/mcp", PING, Host="evil.example").status_code == 403
    assert post(door, "/mcp", PING, Authorization="Bearer nope").status_code == 401
    assert post(door, "/mcp/call", PING, Origin="https://evil.example").status_code == 403


def test_no_stream_is_opened_from_here(door: Door) -> None:
    for method in ("GET", "DELETE"):
        refused = door.http.request(method, "http://localhost/mcp")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, -32700),
        ([PING], 400, -32600),
        ({"id": 1, "method": "ping"}, 400, -32600),
        ({**PING, "id": None}, 400, -32600),
        ({**PING, "method": "resources/list"}, 200, -32601),
        ({**PING, "method": "tools/call", "params": {"name": "nothing"}}, 200, -32602),
        ({**PING, "params": []}, 200, -32602),
    ],
)
def test_what_is_no_message_is_told_so(door: Door, content: Any, status: int, code: int) -> None:
    answer = post(door, "/mcp", content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_notification_is_accepted_and_not_answered(door: Door) -> None:
    answer = post(door, "/mcp", {"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (answer.status_code, answer.content) == (202, b"")


def test_a_revision_that_is_not_spoken_is_refused_by_name(door: Door) -> None:
    answer = post(door, "/mcp", PING, **{"MCP-Protocol-Version": "1999-01-01"})
    assert answer.status_code == 400
    assert "2025-11-25" in answer.json()["detail"]


def test_over_stdio_a_wait_holds_up_no_other_message(newcomer: Operator) -> None:
    step = newcomer.ask("submit", "--goal", "g", "--executor", "fake-timeout")
    waiting = {"repository_id": step["repository_id"], "step_id": step["step_id"], "timeout_s": 20}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "steps_wait", "arguments": waiting}}
    process = subprocess.Popen(
        newcomer.argv("mcp"), env=newcomer.env, cwd=newcomer.repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps(call).encode() + b"\n" + json.dumps({**PING, "id": 2}).encode() + b"\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["id"] == 2
    newcomer.ask("step", "cancel", step["step_id"])
    assert json.loads(process.stdout.readline())["id"] == 1
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()


def test_over_stdio_a_lost_daemon_is_said_and_started_again(newcomer: Operator) -> None:
    newcomer.ask("init")
    process = subprocess.Popen(
        newcomer.argv("mcp"), env=newcomer.env, cwd=newcomer.repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    answers = []
    for number in (1, 2, 3):
        process.stdin.write(json.dumps({**PING, "id": number}).encode() + b"\n")
        process.stdin.flush()
        assert select.select([process.stdout], [], [], 30)[0]
        answers.append(json.loads(process.stdout.readline()))
        if number == 1:
            newcomer.daemon_kill()
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()
    assert ["result" in answer for answer in answers] == [True, False, True]


def test_the_daemon_holds_no_mcp_sdk(door: Door) -> None:
    """Importing it takes longer than starting, and as much memory again."""
    code = "import sys, local_daemon.bootstrap; sys.exit('mcp' in sys.modules or 'mcp_types' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=False).returncode == 0


# -- the older bridge


def bridge(door: Door, name: str, **arguments: Any) -> Any:
    answer = post(door, "/mcp/call", {"jsonrpc": "2.0", "id": 7, "name": name, "arguments": arguments})
    assert (answer.status_code, answer.json()["id"]) == (200, 7)
    return answer.json()["result"]


def test_the_older_names_carry_a_task_through(door: Door, repository_id: str) -> None:
    run = bridge(door, "orchestrator.start_run", id="bridge", project_id=repository_id)
    step = bridge(
        door, "orchestrator.start_step", run_id=run["run_id"], step_id="first", adapter="fake-success", goal="write"
    )
    door.wait(repository_id, step["step_id"])
    result = bridge(door, "orchestrator.get_step_result", step_id=step["step_id"])
    assert result["state"] == "completed"
    assert bridge(door, "orchestrator.get_status", id=run["run_id"])["run_id"] == run["run_id"]
    assert bridge(door, "orchestrator.list_runs", project_id=repository_id)["content"]


def test_the_older_names_make_up_neither_goal_nor_executor(door: Door, repository_id: str) -> None:
    run = bridge(door, "orchestrator.start_run", id="asks", project_id=repository_id)
    for arguments in ({"adapter": "fake-success"}, {"goal": "g"}):
        result = bridge(door, "orchestrator.start_step", run_id=run["run_id"], step_id="s", **arguments)
        assert result["isError"]


def test_an_approval_over_the_older_bridge_names_the_digest(door: Door, repository_id: str) -> None:
    run_id = door.run_create(repository_id)
    step_id = door.submit(repository_id, run_id, gates={"after": "always"})
    gate_id = door.wait(repository_id, step_id)["gate_id"]
    assert bridge(door, "orchestrator.approve_gate", id=gate_id)["isError"]
    gate = door.get(f"/repositories/{repository_id}/gates/{gate_id}")
    assert bridge(door, "orchestrator.approve_gate", id=gate_id, digest=gate["digest"])["state"] == "approved"


def test_what_is_no_json_is_told_so_with_status_200(door: Door) -> None:
    answer = post(door, "/mcp/call", b"{")
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, -32700)
    assert bridge(door, "orchestrator.nothing")["isError"]
