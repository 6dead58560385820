"""Every operation × every credential that must not use it × both surfaces, generated from the tables.

An operation that is added tomorrow is tried tomorrow. What is refused is audited in the caller's own organization,
leaves no call and reaches no machine."""

import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from cloud.access import authorization
from cloud.access import services as access
from cloud.access.models import Token
from cloud.audit.models import AuditEvent
from cloud.permissions.roles import Role
from cloud.tenancy import scope, services
from local_daemon.protocol import applications, conversations, envelopes, ids, manifests, messages
from local_daemon.protocol.operation import PARAMETER_PREFIX, Operation
from local_daemon.protocol.operations import REMOTE_OPERATIONS
from local_daemon.protocol.scopes import Scope
from relay import http
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.relay import cloud_tools, scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.relay.test_http import calls_of

MCP = "/api/cloud/v1/mcp"
CLOUD_TOOLS = [row.operation for row in cloud_tools.TOOLS.values()]
BODIES: Mapping[type, dict[str, Any]] = {
    messages.Empty: {},
    messages.CancelRequest: {},
    messages.RunCreate: {"objective": "Try it."},
    messages.StepSubmit: {"task": {"goal": "Try it.", "executor": "codex"}},
    messages.StepResolve: {"resolution": "failed"},
    messages.GateDecide: {"decision": "reject"},
    manifests.RunManifest: {
        "objective": "Try it.",
        "steps": [{"name": "one", "task": {"goal": "Try it.", "executor": "codex"}}],
    },
    applications.StepApply: {"digest": "0" * 64},
    conversations.ConversationBegin: {"executor": "codex"},
    conversations.ConversationSay: {"text": "Try it."},
}
Told = tuple[int, str]


def parameters_of(operation: Operation) -> dict[str, str]:
    """An id of each kind that an operation's path names."""
    own = [name for name in operation.parameters if name != "repository_id"]
    return {name: f"{PARAMETER_PREFIX[name]}_{'0' * 26}" for name in own}


def body_of(operation: Operation) -> dict[str, Any] | None:
    return None if operation.request is None else BODIES[operation.request]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One credential at both surfaces, for one project."""

    client: httpx.AsyncClient
    project_id: str

    async def over_http(self, operation: Operation) -> Told:
        path = http.path_of(operation).format(project_id=self.project_id, **parameters_of(operation))
        answer = await self.client.request(operation.method, path, json=body_of(operation))
        return answer.status_code, answer.json()["code"] if answer.is_error else ""

    async def over_mcp(self, operation: Operation) -> Told:
        arguments = {"project_id": self.project_id, **parameters_of(operation), **(body_of(operation) or {})}
        return await self.tool(operation, arguments)

    async def tool(self, operation: Operation, arguments: dict[str, Any]) -> Told:
        params = {"name": operation.tool_name, "arguments": arguments}
        answer = await self.client.post(
            MCP,
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
            headers={"Accept": "application/json, text/event-stream"},
        )
        if answer.status_code != 200:
            return answer.status_code, answer.json()["code"]
        result = json.loads(answer.text.rpartition("data: ")[2])["result"]
        return 200, result["structuredContent"]["error"]["code"] if result.get("isError") else ""


@asynccontextmanager
async def asking(cloud: Cloud, token: str, project_id: str) -> AsyncIterator[Asking]:
    headers = {"Authorization": f"Bearer {token}"}
    async with cloud.client(headers) as client:
        yield Asking(client=client, project_id=project_id)


async def everything(
    cloud: Cloud, token: str, project_id: str, wanted: Iterable[Operation] = tuple(REMOTE_OPERATIONS.values())
) -> dict[str, tuple[Told, Told]]:
    """What each operation answers, over HTTP and over MCP."""
    async with asking(cloud, token, project_id) as at:
        return {row.name: (await at.over_http(row), await at.over_mcp(row)) for row in wanted}


def denials_of(site: Site) -> Counter[tuple[str, str]]:
    """What was denied in a tenant: how often which operation, with which code."""
    with scope.organization(site.tenant.id):
        rows = AuditEvent.objects.filter(event_type="call:denied")
        return Counter((row.details["operation"], row.details["code"]) for row in rows)


@asynccontextmanager
async def nothing_happens(cloud: Cloud, site: Site) -> AsyncIterator[None]:
    async with cloud.connected(site) as machine:
        yield
        assert not [frame for frame in machine.received if isinstance(frame, envelopes.Request)]
    assert await scripted.in_thread(lambda: calls_of(site)) == []


def test_the_matrix_has_a_body_for_every_operation_that_takes_one() -> None:
    assert {row.request for row in REMOTE_OPERATIONS.values() if row.request is not None} == set(BODIES)


async def test_a_token_that_may_do_everything_does(cloud: Cloud, site: Site) -> None:
    """Else the refusals below would prove nothing."""
    bytes_too = scripted.answer_content(b"x")

    async def answer(connector: scripted.ScriptedConnector, request: envelopes.Request) -> None:
        await (bytes_too if request.operation == "artifacts.content" else scripted.answer_ok)(connector, request)

    async with cloud.connected(site, answering=answer):
        told = await everything(cloud, site.token, site.project_id)
    assert {name: (over_http[0], over_mcp) for name, (over_http, over_mcp) in told.items()} == dict.fromkeys(
        REMOTE_OPERATIONS, (200, (200, ""))
    )


def expire(site: Site, token: Token) -> None:
    with scope.organization(site.tenant.id):
        Token.objects.filter(id=token.id).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))


def revoke(site: Site, token: Token) -> None:
    with scope.organization(site.tenant.id):
        grant = authorization.authorize(site.tenant.principal(), Scope.TOKENS_WRITE)
        access.token_revoke(grant=grant, token_id=token.id)


@pytest.mark.parametrize("end", [expire, revoke])
async def test_a_token_that_ended_is_nobodys(
    cloud: Cloud, site: Site, make_member: MakeMember, make_token: MakeToken, end: Callable[[Site, Token], None]
) -> None:
    token, secret = await scripted.in_thread(lambda: make_token(make_member(site.tenant, Role.ORG_OWNER)))
    await scripted.in_thread(lambda: end(site, token))
    async with nothing_happens(cloud, site):
        told = await everything(cloud, secret, site.project_id)
    assert told == dict.fromkeys(REMOTE_OPERATIONS, ((401, "unauthenticated"),) * 2)


@pytest.mark.parametrize("needed", sorted({row.scope for row in REMOTE_OPERATIONS.values()}))
async def test_a_token_without_the_scope_is_forbidden_and_that_is_audited(
    cloud: Cloud, site: Site, make_member: MakeMember, make_token: MakeToken, needed: Scope
) -> None:
    wanted = [row for row in REMOTE_OPERATIONS.values() if row.scope is needed]
    others = sorted(frozenset(Scope) - {needed})
    _, secret = await scripted.in_thread(lambda: make_token(make_member(site.tenant, Role.ORG_OWNER), *others))
    async with nothing_happens(cloud, site):
        told = await everything(cloud, secret, site.project_id, wanted)
    assert told == {row.name: ((403, "forbidden"), (200, "forbidden")) for row in wanted}
    denied = await scripted.in_thread(lambda: denials_of(site))
    assert denied == {(row.name, "forbidden"): 2 for row in wanted}


async def test_what_is_asked_of_the_cloud_itself_needs_its_scope_too(
    cloud: Cloud, site: Site, make_member: MakeMember, make_token: MakeToken
) -> None:
    told = {}
    member = await scripted.in_thread(lambda: make_member(site.tenant, Role.ORG_OWNER))
    for operation in CLOUD_TOOLS:
        others = sorted(frozenset(Scope) - {operation.scope})
        _, secret = await scripted.in_thread(lambda scopes=others: make_token(member, *scopes))
        async with asking(cloud, secret, site.project_id) as at:
            told[operation.name] = await at.tool(operation, cloud_tools.arguments_of(operation.name))
            if operation.name == "projects.list":
                assert (await at.client.get("/api/v2/projects")).json()["code"] == "forbidden"
    assert told == {operation.name: (200, "forbidden") for operation in CLOUD_TOOLS}
    denied = await scripted.in_thread(lambda: denials_of(site))
    assert denied == {
        (operation.name, "forbidden"): 1 + (operation.name == "projects.list") for operation in CLOUD_TOOLS
    }


async def test_another_tenants_project_does_not_exist_for_any_operation(
    cloud: Cloud, site: Site, other_site: Site
) -> None:
    async with nothing_happens(cloud, site):
        told = await everything(cloud, other_site.token, site.project_id)
    assert told == dict.fromkeys(REMOTE_OPERATIONS, ((404, "not_found"), (200, "not_found")))
    assert await scripted.in_thread(lambda: denials_of(site)) == {}
    denied = await scripted.in_thread(lambda: denials_of(other_site))
    assert denied == {(name, "not_found"): 2 for name in REMOTE_OPERATIONS}


async def test_a_token_of_one_project_sees_no_other_of_its_organization(
    cloud: Cloud, site: Site, make_member: MakeMember, make_token: MakeToken
) -> None:
    def narrow() -> str:
        with scope.organization(site.tenant.id):
            project, _ = services.project_ensure(workspace=site.tenant.workspace, name="Elsewhere", actor=None)
        return make_token(make_member(site.tenant, Role.ORG_OWNER), project_ids=[project.id])[1]

    secret = await scripted.in_thread(narrow)
    async with nothing_happens(cloud, site):
        told = await everything(cloud, secret, site.project_id)
        async with asking(cloud, secret, site.project_id) as at:
            listed = (await at.client.get("/api/v2/projects")).json()["items"]
    assert told == dict.fromkeys(REMOTE_OPERATIONS, ((404, "not_found"), (200, "not_found")))
    assert [project["name"] for project in listed] == ["Elsewhere"]
    denied = await scripted.in_thread(lambda: denials_of(site))
    assert denied == {(name, "not_found"): 2 for name in REMOTE_OPERATIONS}


async def test_no_call_of_another_credential_can_be_read(cloud: Cloud, site: Site, other_site: Site) -> None:
    async with cloud.connected(site), cloud.planner(site) as planner:
        call_id = (await planner.get("/runs")).headers["ropeway-call-id"]
        assert (await planner.get(f"{cloud.url}/api/v2/calls/{call_id}")).status_code == 200
    for token, asked in itertools.product((other_site.token,), (call_id, ids.new_id(ids.IdPrefix.CALL))):
        async with asking(cloud, token, site.project_id) as at:
            answer = await at.client.get(f"/api/v2/calls/{asked}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
