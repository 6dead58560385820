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
import mcp_types as types
import pytest
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.integration.daemon.door import Door
from tests.integration.daemon.machine import git, repository_make
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


async def test_a_tool_called_again_with_its_key_repeats_the_answer(door: Door, repository_id: str) -> None:
    asked = {"repository_id": repository_id, "objective": "once", "idempotency_key": "mcp-1"}
    async with over_http(door) as client:
        first, again = [await tell(client, "runs_create", **asked) for _ in range(2)]
        other = await client.call_tool("runs_create", {**asked, "objective": "other"})
        malformed = await client.call_tool("runs_create", {**asked, "idempotency_key": "two words"})
    assert first == again
    assert other.structured_content["error"]["code"] == "idempotency_conflict"
    assert malformed.structured_content["error"]["code"] == "invalid_request"


async def test_a_piece_of_an_artifact_says_where_the_next_begins(door: Door, repository: Path) -> None:
    async with over_http(door) as client:
        result = await work_through(client, repository)
        place = {"repository_id": door.repository_add(repository), "artifact_id": result["patch"]["artifact_id"]}
        first = await tell(client, "artifacts_content", **place, length=10)
        rest = await tell(client, "artifacts_content", **place, offset=first["next_offset"])
    assert len(first["text"] + rest["text"]) == first["size_bytes"]


async def test_a_planner_is_told_of_a_budget_that_will_not_hold(newcomer: Operator) -> None:
    newcomer.home.mkdir(mode=0o700)
    (newcomer.home / "daemon.toml").write_text("[templates.silent]\ncommand = ['/bin/true']\n")
    async with over_stdio(newcomer) as client:
        added = await tell(client, "repositories_add", path=str(newcomer.repository))
        place = {"repository_id": added["repository_id"]}
        run = (await tell(client, "runs_create", **place, objective="o"))["run"]
        task = {"goal": "g", "executor": "silent", "budget": {"cost_usd": 1}}
        answer = await tell(client, "steps_submit", **place, run_id=run["run_id"], task=task)
        waited = await tell(client, "steps_wait", **place, step_id=answer["step"]["step_id"], timeout_s=25)
    assert answer["created"]
    assert ["budget of dollars does not hold with silent" in warning for warning in answer["warnings"]] == [True]
    assert waited["step"]["state"] == "completed"


# -- resources


async def test_work_is_read_as_resources(door: Door, repository: Path) -> None:
    async with over_http(door) as client:
        result = await work_through(client, repository)
        repository_id = door.repository_add(repository)
        listed = (await client.list_resources()).resources
        by_uri = {resource.uri: resource for resource in listed}
        run = f"ropeway://repositories/{repository_id}/runs/{result['run_id']}"
        step = f"ropeway://repositories/{repository_id}/steps/{result['step_id']}"
        assert "(open)" in (by_uri[run].title or "")
        assert {f"{step}/result", f"{step}/patch"} <= set(by_uri)
        assert await content(client, run) == await tell(
            client, "runs_get", repository_id=repository_id, run_id=result["run_id"]
        )
        assert await content(client, f"{step}/result") == result
        patch = (await client.read_resource(f"{step}/patch")).contents[0]
        assert isinstance(patch, types.TextResourceContents)
        assert (patch.mime_type, "fake-success.txt" in patch.text) == ("text/x-diff", True)
        artifact = f"ropeway://repositories/{repository_id}/artifacts/{result['patch']['artifact_id']}"
        assert (await client.read_resource(artifact)).contents[0].model_dump() == {
            **patch.model_dump(),
            "uri": artifact,
        }


async def linked(client: mcp.Client, tool: str, **arguments: Any) -> list[types.ResourceLink]:
    """What a tool's answer points at."""
    answered = await client.call_tool(tool, arguments)
    assert isinstance(answered.content[0], types.TextContent)
    return [block for block in answered.content if isinstance(block, types.ResourceLink)]


async def held_as_told(client: mcp.Client, link: types.ResourceLink) -> None:
    """What the link points at can be read, and is what it says."""
    held = (await client.read_resource(link.uri)).contents[0]
    assert isinstance(held, types.TextResourceContents)
    assert (held.mime_type, len(held.text.encode())) == (link.mime_type, link.size)


@pytest.mark.parametrize("way", ["http", "stdio"])
async def test_an_answer_points_at_what_of_it_can_be_read(
    door: Door, newcomer: Operator, repository: Path, way: str
) -> None:
    root = repository if way == "http" else newcomer.repository
    async with over_http(door) if way == "http" else over_stdio(newcomer) as client:
        result = await work_through(client, root)
        place = {"repository_id": (await tell(client, "repositories_add", path=str(root)))["repository_id"]}
        found = {**place, "step_id": result["step_id"]}
        (patch,) = await linked(client, "steps_result", **found)
        assert patch.uri == f"ropeway://repositories/{place['repository_id']}/steps/{result['step_id']}/patch"
        await held_as_told(client, patch)
        artifacts = (await tell(client, "artifacts_list", **found))["items"]
        links = await linked(client, "artifacts_list", **found)
        assert [link.name for link in links] == [artifact["name"] for artifact in artifacts]
        for link in links:
            await held_as_told(client, link)
        assert len(await linked(client, "artifacts_list", **found, limit=1)) == 1
        assert await linked(client, "steps_get", **found) == []


@pytest.mark.parametrize(
    ("headers", "kinds"),
    [
        ({}, ["text"]),
        ({"MCP-Protocol-Version": "2025-03-26"}, ["text"]),
        ({"MCP-Protocol-Version": "2025-06-18"}, ["text", "resource_link"]),
    ],
    ids=str,
)
def test_a_client_that_knows_no_links_gets_none(
    door: Door, repository_id: str, headers: dict[str, str], kinds: list[str]
) -> None:
    step_id = door.submit(repository_id, door.run_create(repository_id))
    door.wait(repository_id, step_id)
    arguments = {"repository_id": repository_id, "step_id": step_id}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    answer = post(door, "/mcp", {**call, "params": {"name": "steps_result", "arguments": arguments}}, **headers)
    assert [block["type"] for block in answer.json()["result"]["content"]] == kinds


async def content(client: mcp.Client, uri: str) -> Any:
    held = (await client.read_resource(uri)).contents[0]
    assert isinstance(held, types.TextResourceContents)
    assert held.mime_type == "application/json"
    return json.loads(held.text)


async def test_each_form_of_address_is_told_as_a_template(door: Door) -> None:
    async with over_http(door) as client:
        told = (await client.list_resource_templates()).resource_templates
    assert {each.name: each.uri_template for each in told} == {
        "run": "ropeway://repositories/{repository_id}/runs/{run_id}",
        "result": "ropeway://repositories/{repository_id}/steps/{step_id}/result",
        "patch": "ropeway://repositories/{repository_id}/steps/{step_id}/patch",
        "artifact": "ropeway://repositories/{repository_id}/artifacts/{artifact_id}",
    }


async def test_the_list_goes_through_every_repository_page_by_page(newcomer: Operator) -> None:
    """Also past one in which nothing was ever done."""
    others = [repository_make(newcomer.repository.parent / name) for name in ("empty", "last")]
    async with over_stdio(newcomer) as client:
        places = [
            (await tell(client, "repositories_add", path=str(path)))["repository_id"]
            for path in (newcomer.repository, *others)
        ]
        runs = {
            (await tell(client, "runs_create", repository_id=place, objective="o"))["run"]["run_id"]
            for place in [places[0]] * 25 + [places[2]]
        }
        seen: list[str] = []
        cursor: str | None = None
        for _ in range(10):
            page = await client.list_resources(cursor=cursor)
            assert page.resources
            seen += [resource.uri.rpartition("/")[2] for resource in page.resources]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert len(seen) == 26
    assert set(seen) == runs


async def test_a_patch_that_is_too_long_is_refused_with_the_tool_that_hands_out_pieces(newcomer: Operator) -> None:
    (newcomer.repository / "long.txt").write_text("line\n" * 300_000)
    git(newcomer.repository, "add", ".")
    git(newcomer.repository, "commit", "--quiet", "--message", "long")
    task = ("--executor", "fake-success", "--task", "-")
    spec = json.dumps({"goal": "g", "params": {"files": {"long.txt": "short"}}})
    result = newcomer.ask("submit", "--wait", "--quiet", *task, stdin=spec)
    step = newcomer.ask("step", "get", result["step_id"])
    uri = f"ropeway://repositories/{step['repository_id']}/steps/{step['step_id']}/patch"
    async with over_stdio(newcomer) as client:
        with pytest.raises(mcp.MCPError, match="artifacts_content") as refused:
            await client.read_resource(uri)
        found = {"repository_id": step["repository_id"], "step_id": step["step_id"]}
        assert await linked(client, "steps_result", **found) == []
        links = await linked(client, "artifacts_list", **found)
        assert {link.name for link in links} == {"stdout.log", "evidence.json"}
    assert refused.value.error.data["code"] == "payload_too_large"


async def test_an_answer_points_at_nothing_that_expired(newcomer: Operator) -> None:
    result = newcomer.ask("submit", "--wait", "--quiet", "--executor", "fake-success", "--goal", "g")
    async with over_stdio(newcomer) as client:
        place = {"repository_id": (await tell(client, "repositories_list"))["items"][0]["repository_id"]}
        found = {**place, "step_id": result["step_id"]}
        assert len(await linked(client, "steps_result", **found)) == 1
    newcomer.ask("daemon", "stop")
    (newcomer.home / "daemon.toml").write_text("[retention]\nevidence_bytes = 0\nevidence_days_min = 0\n")
    newcomer.ask("gc")  # After this it went, be it by this pass or by the one at the daemon's start.
    async with over_stdio(newcomer) as client:
        assert await linked(client, "steps_result", **found) == []
        artifacts = (await tell(client, "artifacts_list", **found))["items"]
        kept = [each["name"] for each in artifacts if each["expired_at"] is None]
        assert len(kept) < len(artifacts)
        assert [link.name for link in await linked(client, "artifacts_list", **found)] == kept


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
        ({**PING, "method": "prompts/list"}, 200, -32601),
        ({**PING, "method": "resources/read"}, 200, -32602),
        ({**PING, "method": "resources/list", "params": {"cursor": 1}}, 200, -32602),
        ({**PING, "method": "resources/list", "params": {"cursor": "nothing"}}, 200, -32602),
        ({**PING, "method": "resources/read", "params": {"uri": "ropeway://nothing"}}, 200, -32002),
        ({**PING, "method": "resources/read", "params": {"uri": "file:///etc/passwd"}}, 200, -32002),
        ({**PING, "method": "resources/read", "params": {"uri": "ropeway://repositories/x/runs/y"}}, 200, -32602),
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
    assert bridge(door, "steps_task", step_id=step["step_id"])["task"]["goal"] == "write"
    result = bridge(door, "orchestrator.get_step_result", step_id=step["step_id"])
    assert result["state"] == "completed"
    status = bridge(door, "orchestrator.get_status", id=run["run_id"])
    listed = bridge(door, "orchestrator.list_runs", project_id=repository_id)
    newest = listed["runs"][0]
    assert [each["id"] for each in (run, status, newest)] == [run["run_id"]] * 3
    assert {each["project_id"] for each in (run, status, newest)} == {repository_id}


def test_the_older_names_list_under_the_older_members(door: Door, repository_id: str) -> None:
    step_id = door.submit(
        repository_id, door.run_create(repository_id), validations=[{"name": "looks", "command": "true"}]
    )
    door.wait(repository_id, step_id)
    validations = bridge(door, "orchestrator.get_validations", step_id=step_id)
    artifacts = bridge(door, "orchestrator.list_artifacts", step_id=step_id)
    assert [(row["name"], row["state"]) for row in validations["validations"]] == [("looks", "passed")]
    patch = next(row for row in artifacts["artifacts"] if row["type"] == "patch")
    assert (patch["id"], patch["hash"], patch["size"]) == (patch["artifact_id"], patch["sha256"], patch["size_bytes"])
    assert "items" not in {*validations, *artifacts}


def test_a_call_of_the_older_bridge_without_a_name_is_told_so(door: Door) -> None:
    for envelope in ({"jsonrpc": "2.0", "id": 1}, {"jsonrpc": "2.0", "id": 1, "name": 7}):
        result = post(door, "/mcp/call", envelope).json()["result"]
        assert result["structuredContent"]["error"]["detail"] == "name: say which tool to call"


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
    assert bridge(door, "orchestrator.approve_gate", id=gate_id, digest=gate["digest"])["status"] == "approved"


def test_what_is_no_json_is_told_so_with_status_200(door: Door) -> None:
    answer = post(door, "/mcp/call", b"{")
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, -32700)
    assert bridge(door, "orchestrator.nothing")["isError"]
