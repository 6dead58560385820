"""The official MCP conformance suite, against our server and transport in a serving cloud.

What we do not offer is not tried: prompts, completion, logging, sampling, elicitation, subscriptions, and tools that
answer with pictures or sound. `make test-conformance` installs the suite and runs this."""

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cloud.config import mounts
from cloud.config.planner import CloudPlanner
from deploy.stack.local import ROOT
from relay.http_messages import Receive, Scope, Send
from relay.mcp_server import server
from relay.mcp_server.transport import McpApplication
from tests.integration.cloud.relay import conformance_fixtures
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.relay.test_mcp import CLOUD_MCP

pytestmark = pytest.mark.conformance

INSTALLED = ROOT / ".var" / "conformance" / "node_modules"
PATH = "/conformance"
SESSIONS = "2025-11-25"
STATELESS = "2026-07-28"
OF_BOTH = (
    "tools-list",
    "tools-call-simple-text",
    "tools-call-error",
    "tools-call-with-progress",
    "json-schema-2020-12",
    "server-sse-multiple-streams",
    "resources-list",
    "resources-read-text",
    "resources-read-binary",
    "resources-templates-read",
    "dns-rebinding-protection",
)
NOT_OFFERED = frozenset(
    {
        "sep-2549-prompts-list-caching-hints",
        "sep-2575-server-rejects-undeclared-capability",
        "sep-2575-missing-capability-http-400",
        "sep-2575-http-server-no-independent-requests-on-stream",
        "sep-2575-server-no-log-without-loglevel",
    }
)
"""Checks of a scenario that is tried, about something in it that we do not offer."""
SCENARIOS = [
    *((SESSIONS, scenario) for scenario in (*OF_BOTH, "server-initialize", "server-session-lifecycle", "ping")),
    *(
        (STATELESS, scenario)
        for scenario in (
            *OF_BOTH,
            "server-stateless",
            "sep-2164-resource-not-found",
            "caching",
            "http-header-validation",
            "http-custom-header-server-validation",
        )
    ),
]


@pytest.fixture
def url(cloud: Cloud, site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the suite's fixtures are served; it brings no token, so it is given one at the door."""
    monkeypatch.setattr(server, "PROGRESS_S", 0.1)
    resources: Any = conformance_fixtures.FixtureResources()
    planner = CloudPlanner()
    make = partial(server.make_server, conformance_fixtures.TOOLS, resources, planner, name="ropeway")
    application = McpApplication(planner, make, allowed_origins=[f"http://127.0.0.1:{cloud.port}"])
    bearer = (b"authorization", f"Bearer {site.token}".encode())

    async def let_in(scope: Scope, receive: Receive, send: Send) -> None:
        await application({**scope, "headers": [*scope["headers"], bearer]}, receive, send)

    mounts.HTTP_BEFORE_DJANGO[PATH] = let_in
    yield f"{cloud.url}{PATH}"
    del mounts.HTTP_BEFORE_DJANGO[PATH]


@pytest.mark.parametrize(("revision", "scenario"), SCENARIOS)
async def test_a_scenario_of_the_suite_holds(url: str, tmp_path: Path, revision: str, scenario: str) -> None:
    node = INSTALLED / "node" / "bin" / "node"
    suite = INSTALLED / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
    asked = ["server", "--url", url, "--scenario", scenario, "--spec-version", revision, "-o", str(tmp_path)]
    running = await asyncio.create_subprocess_exec(
        node, suite, *asked, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await running.communicate()
    checks = [check for found in tmp_path.rglob("checks.json") for check in json.loads(found.read_text())]
    assert checks, said.decode()
    good = ("SUCCESS", "INFO", "SKIPPED")
    bad = [check for check in checks if check["status"] not in good and check["id"] not in NOT_OFFERED]
    assert bad == [], json.dumps(bad, indent=1)


@pytest.mark.parametrize("method", ["tools/list", "resources/list", "resources/templates/list"])
async def test_another_makers_client_connects_and_lists(cloud: Cloud, site: Site, method: str) -> None:
    node = INSTALLED / "node" / "bin" / "node"
    inspector = INSTALLED / ".bin" / "mcp-inspector"
    door = [f"{cloud.url}{CLOUD_MCP}", "--transport", "http", "--header", f"Authorization: Bearer {site.token}"]
    running = await asyncio.create_subprocess_exec(
        node, inspector, "--cli", *door, "--method", method, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await running.communicate()
    assert running.returncode == 0, said.decode()
    if method == "tools/list":
        assert {"steps_submit", "gates_waiting"} <= {tool["name"] for tool in json.loads(said)["tools"]}
