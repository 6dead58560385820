"""A whole Ropeway, worked by the official MCP client as a planner does: every answer fits what its tool was listed
with, for the client checks each against it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import mcp
import pytest
from mcp.client.streamable_http import streamable_http_client

from tests.journeys.world import PATIENCE_S, World

PATCH = """\
diff --git a/noted.txt b/noted.txt
new file mode 100644
--- /dev/null
+++ b/noted.txt
@@ -0,0 +1 @@
+noted
"""
TASK = {"goal": "Leave a note.", "executor": "patch", "patch": PATCH, "gates": {"after": "always"}}
ELSEWHERE = {"manifests_get"}
"""Of a run that was submitted whole, which this one was not."""
CHECK = {"name": "there", "command": "test -f noted.txt"}


class Planner:
    """The client, and what it came to know."""

    def __init__(self, client: mcp.Client, project_id: str) -> None:
        self.client = client
        self.known: dict[str, Any] = {"project_id": project_id}

    async def ask(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What a tool answers. Raises where it fails, or says what its schema does not."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, (tool, result.structured_content)
        assert result.structured_content is not None
        return dict(result.structured_content)

    async def ask_machine(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return await self.ask(tool, project_id=self.known["project_id"], **arguments)

    async def settled(self, step_id: str) -> dict[str, Any]:
        while True:
            answer = await self.ask_machine("steps_wait", step_id=step_id, timeout_s=20)
            if not answer["timed_out"]:
                return dict(answer["step"])

    async def heard_of(self, tool: str, **named: str) -> dict[str, Any]:
        """A row of one of the cloud's lists, once its machine told of it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for row in (await self.ask(tool))["items"]:
                    if all(row[name] == value for name, value in named.items()):
                        return dict(row)


@asynccontextmanager
async def planner_of(world: World, mode: str) -> AsyncIterator[Planner]:
    headers = {"Authorization": f"Bearer {world.tenant.token}"}
    url = f"{world.stack.url}/api/cloud/v1/mcp"
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        mcp.Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        planner = Planner(client, world.tenant.project_id)
        await client.list_tools()
        yield planner


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_planner_does_a_whole_task_over_mcp(world: World, mode: str) -> None:
    async with planner_of(world, mode) as planner:
        run = (await planner.ask_machine("runs_create", objective="Leave a note."))["run"]
        submitted = await planner.ask_machine(
            "steps_submit", run_id=run["run_id"], task={**TASK, "validations": [CHECK]}
        )
        step_id = submitted["step"]["step_id"]
        assert (await planner.settled(step_id))["state"] == "waiting"
        gate = await planner.heard_of("gates_waiting", step_id=step_id)
        held = await planner.client.read_resource(f"ropeway://projects/{gate['project_id']}/steps/{step_id}/patch")
        assert "+noted" in held.contents[0].text  # type: ignore[union-attr]
        decided = {"gate_id": gate["gate_id"], "decision": "approve", "digest": gate["digest"]}
        await planner.ask_machine("gates_decide", location=gate["location_id"], **decided)
        assert (await planner.settled(step_id))["state"] == "completed"
        await planner.ask_machine("runs_close", run_id=run["run_id"])
        artifacts = (await planner.ask_machine("artifacts_list", step_id=step_id))["items"]
        (machine,) = (await planner.ask("connectors_list"))["items"]
        schedule = await planner.ask(
            "schedules_create",
            project_id=gate["project_id"],
            name="nightly",
            objective="o",
            tasks=[TASK],
            cron="0 3 * * *",
        )
        await planner.heard_of("runs_recent", run_id=run["run_id"], state="completed")
        planner.known |= {
            "run_id": run["run_id"],
            "step_id": step_id,
            "gate_id": gate["gate_id"],
            "artifact_id": artifacts[0]["artifact_id"],
            "connector_id": machine["connector_id"],
            "schedule_id": schedule["schedule_id"],
        }
        await read_everything(planner)


async def read_everything(planner: Planner) -> None:
    """Every tool that changes nothing and whose subject is known, and every resource that is listed first."""
    asked = []
    for tool in (await planner.client.list_tools()).tools:
        assert tool.annotations is not None
        wanted = set(tool.input_schema.get("required", ()))
        if tool.annotations.read_only_hint and wanted <= set(planner.known) and tool.name not in ELSEWHERE:
            await planner.ask(tool.name, **{name: planner.known[name] for name in wanted})
            asked.append(tool.name)
    assert {"steps_result", "artifacts_content", "events_list", "usage_costs", "audit_verify"} <= set(asked)
    assert len(asked) > 30, asked
    for resource in (await planner.client.list_resources()).resources[:5]:
        (held,) = (await planner.client.read_resource(resource.uri)).contents
        assert held.mime_type == resource.mime_type
