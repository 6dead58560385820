"""Every MCP tool and resource × each role, here and beside, and another tenant's owner; and tokens that have ended.

What is expected stands in tests/contract/permissions.csv. Which tools and resources there are is found by asking the
code for them: one without a line, or a line without one, fails."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from cloud.access import authorization
from cloud.access.models import Token
from cloud.access.principals import Grant, PrincipalKind
from cloud.config.planner import CloudPlanner
from cloud.connectors import enrollment
from cloud.mcp.tools import cloud_tools as tools_of_the_cloud
from cloud.permissions.roles import Role
from cloud.schedules import run_schedules
from cloud.tenancy import scope, services
from cloud.tenancy.models import Membership, Project
from local_daemon.protocol.operations import REMOTE_OPERATIONS
from local_daemon.protocol.scopes import Scope
from relay.mcp_server.addresses import Kind, template_of
from relay.mcp_server.tools import relay_tools
from tests.contract import permissions
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.relay import cloud_tools, scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.relay.test_mcp import CLOUD_MCP
from tests.integration.cloud.relay.test_mcp_resources import answering
from tests.integration.cloud.relay.test_permission_matrix import body_of, expire, parameters_of, revoke

PLANNER = CloudPlanner()
TOOLS = {tool.definition.name: tool.definition for tool in [*tools_of_the_cloud(PLANNER), *relay_tools(PLANNER)]}
OPERATIONS = {operation.tool_name: operation for operation in REMOTE_OPERATIONS.values()}
CLOUD_NAMES = {row.operation.tool_name: name for name, row in cloud_tools.TOOLS.items()}
IDS = {"run_id": "run_", "step_id": "step_", "artifact_id": "art_"}
SPOKEN = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A project with a linked machine."""

    project: Project
    connector_id: UUID
    grant: Grant

    def schedule_id(self) -> str:
        """A new schedule of the project: some tools end what they are given."""
        with scope.organization(self.grant.organization_id):
            row = run_schedules.run_schedule_create(grant=self.grant, **cloud_tools.SCHEDULE)
        return str(row.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Where what is asked for is, and who asks."""

    here: Place
    beside: Place
    tokens: Mapping[str, str]

    @property
    def places(self) -> dict[str, Place]:
        return {"here": self.here, "beside": self.beside}


@pytest.fixture
def tokens(site: Site, other_site: Site, make_member: MakeMember, make_token: MakeToken) -> dict[str, str]:
    acme = site.tenant
    bounds: dict[Role, dict[str, Any]] = {
        Role.WORKSPACE_ADMIN: {"workspace": acme.workspace},
        Role.PROJECT_OPERATOR: {"project": acme.project},
        Role.PROJECT_VIEWER: {"project": acme.project},
    }
    made = {}
    for role in Role:
        # Minted as an owner and clamped when used: one who only looks can mint none.
        member = make_member(acme, Role.ORG_OWNER, **bounds.get(role, {}))
        _, made[role.value] = make_token(member)
        with scope.organization(acme.id):
            Membership.objects.filter(id=member.id).update(role=role)
    return {**made, permissions.OTHER_OWNER: other_site.token}


@asynccontextmanager
async def world_of(cloud: Cloud, site: Site, tokens: Mapping[str, str]) -> AsyncIterator[World]:
    """Two linked machines of one tenant, in two workspaces."""
    beside, machine, connector_id = await scripted.in_thread(lambda: _beside(site))
    shares = machine.advertisement("beside")
    async with (
        cloud.connected(site, answering=answering()),
        scripted.connected(cloud.port, str(connector_id), machine, shares=shares, answering=answering()),
    ):
        here = await scripted.in_thread(lambda: _place(site, site.tenant.project, site.connector.id))
        yield World(
            here=here,
            beside=await scripted.in_thread(lambda: _place(site, beside, connector_id)),
            tokens=tokens,
        )


def _beside(site: Site) -> tuple[Project, Machine, UUID]:
    machine, owner = Machine(), site.tenant.principal()
    with scope.organization(site.tenant.id):
        elsewhere, _ = services.workspace_ensure(organization_id=site.tenant.id, name="elsewhere", actor=None)
        project, _ = services.project_ensure(workspace=elsewhere, name="beside", actor=None)
        grant = authorization.authorize(owner, Scope.CONNECTORS_WRITE, project_id=project.id)
        _, code = enrollment.enrollment_code_create(grant=grant, ttl=timedelta(hours=1))
    return project, machine, enrollment.connector_enroll(**machine.enroll_request(code)).id


def _place(site: Site, project: Project, connector_id: UUID) -> Place:
    system = site.tenant.principal(kind=PrincipalKind.SYSTEM)
    with scope.organization(site.tenant.id):
        grant = authorization.authorize(system, Scope.RUNS_WRITE, project_id=project.id)
    return Place(project=project, connector_id=connector_id, grant=grant)


async def outcome_of(http: httpx.AsyncClient, token: str, method: str, params: dict[str, Any]) -> str:
    """`allow`, or the code that it is refused with."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = await http.post(CLOUD_MCP, json=message, headers={**SPOKEN, "Authorization": f"Bearer {token}"})
    if answer.status_code != 200:
        return str(answer.json()["code"])
    told = json.loads(answer.text.rpartition("data: ")[2])
    if "error" in told:
        return str(told["error"]["data"]["code"])
    is_error = told["result"].get("isError", False)
    return str(told["result"]["structuredContent"]["error"]["code"]) if is_error else "allow"


def targets_of(tool: str) -> tuple[str, ...]:
    """Where what a tool names may be; "-" where it names nothing."""
    names = TOOLS[tool].input_schema["properties"]
    return ("here", "beside") if {"project_id", "connector_id", "schedule_id"} & set(names) else ("-",)


async def arguments_of(tool: str, place: Place) -> dict[str, Any]:
    names = TOOLS[tool].input_schema["properties"]
    if tool in OPERATIONS:
        operation = OPERATIONS[tool]
        return {"project_id": str(place.project.id), **parameters_of(operation), **(body_of(operation) or {})}
    known = {"project_id": str(place.project.id), "connector_id": str(place.connector_id)}
    if "schedule_id" in names:
        known["schedule_id"] = await scripted.in_thread(place.schedule_id)
    asked = cloud_tools.arguments_of(CLOUD_NAMES[tool], **known)
    return asked | ({"project_id": known["project_id"]} if "project_id" in names else {})


def uri_of(kind: Kind, place: Place) -> str:
    uri = template_of(kind).replace("{?location}", "").replace("{project_id}", str(place.project.id))
    for name, prefix in IDS.items():
        uri = uri.replace(f"{{{name}}}", prefix + "0" * 26)
    return uri


@asynccontextmanager
async def asking(cloud: Cloud) -> AsyncIterator[httpx.AsyncClient]:
    async with cloud.client() as http:
        yield http


async def test_each_role_may_call_the_tools_that_were_reviewed_and_no_more(
    cloud: Cloud, site: Site, tokens: dict[str, str]
) -> None:
    lines = []
    async with world_of(cloud, site, tokens) as world, asking(cloud) as http:
        for tool in TOOLS:
            for target in targets_of(tool):
                found = []
                for token in world.tokens.values():
                    arguments = await arguments_of(tool, world.places.get(target, world.here))
                    params = {"name": tool, "arguments": arguments}
                    found.append(await outcome_of(http, token, "tools/call", params))
                if target == "-":
                    assert found.pop() == "allow"
                    found.append("own")
                lines.append((f"tool {tool}", target, *found))
    permissions.hold("tool ", lines)


async def test_each_role_may_read_the_resources_that_were_reviewed_and_no_more(
    cloud: Cloud, site: Site, tokens: dict[str, str]
) -> None:
    lines = []
    async with world_of(cloud, site, tokens) as world, asking(cloud) as http:
        for kind in Kind:
            for target, place in world.places.items():
                params = {"uri": uri_of(kind, place)}
                found = [await outcome_of(http, token, "resources/read", params) for token in world.tokens.values()]
                lines.append((f"resource {kind}", target, *found))
    permissions.hold("resource ", lines)


def listed_in(answer: httpx.Response) -> set[str]:
    return {tool["name"] for tool in json.loads(answer.text.rpartition("data: ")[2])["result"]["tools"]}


async def test_a_tool_that_is_not_shown_is_one_that_is_forbidden(
    cloud: Cloud, site: Site, tokens: dict[str, str]
) -> None:
    async with world_of(cloud, site, tokens) as world, asking(cloud) as http:
        for role in Role:
            headers = {**SPOKEN, "Authorization": f"Bearer {world.tokens[role.value]}"}
            listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
            shown = listed_in(await http.post(CLOUD_MCP, json=listing, headers=headers))
            for tool in set(TOOLS) - shown:
                params = {"name": tool, "arguments": await arguments_of(tool, world.here)}
                assert await outcome_of(http, world.tokens[role.value], "tools/call", params) == "forbidden"
            assert shown <= set(TOOLS)


@pytest.mark.parametrize("end", [expire, revoke])
async def test_a_token_that_ended_calls_and_reads_nothing(
    cloud: Cloud, site: Site, make_member: MakeMember, make_token: MakeToken, end: Callable[[Site, Token], None]
) -> None:
    token, secret = await scripted.in_thread(lambda: make_token(make_member(site.tenant, Role.ORG_OWNER)))
    await scripted.in_thread(lambda: end(site, token))
    async with asking(cloud) as http:
        for method, params in everything(site):
            assert await outcome_of(http, secret, method, params) == "unauthenticated", params


def everything(site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every way to ask."""
    for method in ("tools/list", "resources/list", "resources/templates/list", "ping", "initialize"):
        yield method, {}
    for tool in TOOLS:
        yield "tools/call", {"name": tool, "arguments": {"project_id": site.project_id}}
    for kind in Kind:
        yield "resources/read", {"uri": template_of(kind)}
