"""What a planner reads as resources: listed as last heard of, read from the machine, by who may."""

import base64
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from cloud.connectors import links, services
from cloud.connectors.models import Location
from cloud.permissions.roles import Role
from cloud.runs.models import RunSnapshot, StepSnapshot
from cloud.tenancy import scope
from local_daemon.protocol import errors, ids
from local_daemon.protocol.ids import IdPrefix
from local_daemon.protocol.scopes import Scope
from relay.mcp_server import resources, tools
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.relay.test_mcp import client

RUN, STEP, ARTIFACT = "run_" + "0" * 26, "step_" + "0" * 26, "art_" + "0" * 26
PATCH = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
NOW = "2026-11-21T08:00:00Z"
RESULT = {
    "run_id": RUN,
    "step_id": STEP,
    "state": "completed",
    "executor": "patch",
    "patch": {
        "artifact_id": ARTIFACT,
        "step_id": STEP,
        "attempt_id": "att_" + "0" * 26,
        "kind": "patch",
        "name": "changes.patch",
        "media_type": "text/x-diff",
        "size_bytes": len(PATCH),
        "sha256": "0" * 64,
        "created_at": NOW,
    },
}


def answering(content: bytes = PATCH, result: dict[str, Any] = RESULT) -> scripted.Answering:
    """A machine with one step."""
    streamed = scripted.answer_content(content)

    async def answer(connector: scripted.ScriptedConnector, request: Any) -> None:
        match request.operation:
            case "artifacts.content":
                await streamed(connector, request)
            case "steps.result":
                await connector.send(scripted.envelopes.Response(call_id=request.call_id, status=200, body=result))
            case _:
                await scripted.answer_ok(connector, request)

    return answer


def uri_of(site: Site, rest: str) -> str:
    return f"ropeway://projects/{site.project_id}/{rest}"


def heard_of(site: Site, count: int, *, has_patch: bool = True) -> list[str]:
    """So many runs with a step each, the oldest first; their ids."""
    told = []
    with scope.organization(site.tenant.id):
        location = Location.objects.filter(project_id=site.tenant.project.id).first()
        assert location is not None
        for number in range(count):
            run_id, step_id = (
                f"{prefix}_{ids.ulid(now_ms=1000 + number, randomness=after)}"
                for after, prefix in enumerate((IdPrefix.RUN, IdPrefix.STEP))
            )
            facts: dict[str, Any] = {
                "organization_id": site.tenant.id,
                "project_id": site.tenant.project.id,
                "location_id": location.id,
                "run_id": run_id,
                "as_of": NOW,
                "seq": number,
            }
            RunSnapshot.objects.create(**facts, state="running", title=f"run {number}", view={})
            view = {"patch_sha256": "0" * 64 if has_patch else None}
            StepSnapshot.objects.create(**facts, step_id=step_id, state="completed", title="step", view=view)
            told += [run_id, step_id]
    return told


def was_here(site: Site) -> None:
    """Its machine shared the repository, and is gone."""
    opened = links.link_open(connector_id=site.connector.id, link_owner="elsewhere")
    services.advertise_apply(connector_id=site.connector.id, epoch=opened.epoch, advertised=site.shares)
    links.link_close(site.connector.id, opened.epoch)


async def test_a_run_and_a_result_are_read_as_documents(cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site, answering=answering()) as machine, client(cloud, site.token) as planner:
        (run,) = (await planner.read_resource(uri_of(site, f"runs/{RUN}"))).contents
        (result,) = (await planner.read_resource(uri_of(site, f"steps/{STEP}/result"))).contents
        asked = [(request.operation, request.parameters["repository_id"]) for request in await machine.requests(2)]
    assert asked == [("runs.get", site.repository_id), ("steps.result", site.repository_id)]
    assert run.mime_type == result.mime_type == "application/json"
    assert '"changes.patch"' in result.text
    assert result.uri == uri_of(site, f"steps/{STEP}/result")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_patch_is_read_as_text_and_bytes_as_bytes(cloud: Cloud, site: Site, mode: str) -> None:
    async with cloud.connected(site, answering=answering()), client(cloud, site.token, mode=mode) as planner:
        (patch,) = (await planner.read_resource(uri_of(site, f"steps/{STEP}/patch"))).contents
    assert (patch.text, patch.mime_type) == (PATCH.decode(), "text/x-diff")
    content = bytes(range(256)) * 100
    async with cloud.connected(site, answering=answering(content)), client(cloud, site.token, mode=mode) as planner:
        (artifact,) = (await planner.read_resource(uri_of(site, f"artifacts/{ARTIFACT}"))).contents
    assert base64.b64decode(artifact.blob) == content


async def test_what_is_too_long_to_be_read_whole_says_how_to_read_it(
    cloud: Cloud, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "RESOURCE_BYTES", 1000)
    async with cloud.connected(site, answering=answering(b"x" * 1001)), client(cloud, site.token) as planner:
        with pytest.raises(MCPError) as told:
            await planner.read_resource(uri_of(site, f"artifacts/{ARTIFACT}"))
    assert told.value.error.data["code"] == "payload_too_large"
    assert "artifacts_content" in told.value.error.message


@pytest.mark.parametrize(("mode", "code"), [("auto", -32602), ("legacy", -32002)])
async def test_what_is_not_there_is_not_found_and_so_is_what_another_tenant_owns(
    cloud: Cloud, site: Site, other_site: Site, mode: str, code: int
) -> None:
    without_patch = {**RESULT, "patch": None}
    missing = [
        uri_of(other_site, f"runs/{RUN}"),
        uri_of(site, f"steps/{STEP}/patch"),
        uri_of(site, "runs/../../etc/passwd"),
        "file:///etc/passwd",
    ]
    async with (
        cloud.connected(site, answering=answering(result=without_patch)),
        cloud.connected(other_site),
        client(cloud, site.token, mode=mode) as planner,
    ):
        for uri in missing:
            with pytest.raises(MCPError) as told:
                await planner.read_resource(uri)
            assert (told.value.error.code, told.value.error.data["code"]) == (code, "not_found"), uri


async def test_a_machine_that_is_away_is_an_error_that_may_be_tried_again(cloud: Cloud, site: Site) -> None:
    await scripted.in_thread(lambda: was_here(site))
    async with client(cloud, site.token) as planner:
        with pytest.raises(MCPError) as told:
            await planner.read_resource(uri_of(site, f"runs/{RUN}"))
    assert (told.value.error.data["code"], told.value.error.data["retryable"]) == ("connector_offline", True)


async def test_runs_and_what_their_steps_left_are_listed_newest_first_page_by_page(
    cloud: Cloud, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "LISTED", 3)
    async with cloud.connected(site):
        told = await scripted.in_thread(lambda: heard_of(site, 4))
    listed, pages, cursor = [], 0, None
    async with client(cloud, site.token) as planner:
        while pages == 0 or cursor is not None:
            page = await planner.list_resources(cursor=cursor)
            listed, pages, cursor = listed + page.resources, pages + 1, page.next_cursor
    assert pages in (3, 4)
    kinds = {RUN[:3]: ["run"], STEP[:4]: ["result", "patch"]}
    expected = [f"{kind} {named}" for named in reversed(told) for kind in kinds[named.partition("_")[0]]]
    assert [resource.name for resource in listed] == expected
    assert len({resource.uri for resource in listed}) == len(listed)


async def test_what_is_listed_can_be_read(cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site, answering=answering()) as machine, client(cloud, site.token) as planner:
        await scripted.in_thread(lambda: heard_of(site, 1))
        listed = (await planner.list_resources()).resources
        for resource in listed:
            await planner.read_resource(resource.uri)
        assert len(listed) == 3
        assert len(await machine.requests(4)) == 4


async def test_a_cursor_that_is_none_is_refused(cloud: Cloud, site: Site) -> None:
    async with client(cloud, site.token) as planner:
        with pytest.raises(MCPError) as told:
            await planner.list_resources(cursor="../..")
    assert told.value.error.data["code"] == "invalid_request"


@pytest.mark.parametrize(
    ("scopes", "kinds"),
    [
        ([Scope.RUNS_READ], ["run"]),
        ([Scope.STEPS_READ], ["result"]),
        ([Scope.ARTIFACTS_READ], ["artifact"]),
        ([Scope.GATES_READ], []),
    ],
)
async def test_a_token_is_shown_what_it_may_read(
    cloud: Cloud, site: Site, make_member: MakeMember, make_token: MakeToken, scopes: list[Scope], kinds: list[str]
) -> None:
    await scripted.in_thread(lambda: was_here(site))
    await scripted.in_thread(lambda: heard_of(site, 1))
    _, token = await scripted.in_thread(lambda: make_token(make_member(site.tenant, Role.ORG_ADMIN), *scopes))
    async with client(cloud, token) as planner:
        templates = (await planner.list_resource_templates()).resource_templates
        listed = (await planner.list_resources()).resources
        with pytest.raises(MCPError) as told:
            await planner.read_resource(uri_of(site, f"steps/{STEP}/patch"))
    assert [template.name for template in templates] == kinds
    assert {resource.name.partition(" ")[0] for resource in listed} == set(kinds) - {"artifact"}
    assert told.value.error.data["code"] in ("forbidden", "connector_offline")


async def test_a_result_points_at_its_patch_and_a_list_at_each_artifact(cloud: Cloud, site: Site) -> None:
    page = {"items": [RESULT["patch"]]}

    async def answer(connector: scripted.ScriptedConnector, request: Any) -> None:
        body = page if request.operation == "artifacts.list" else RESULT
        await connector.send(scripted.envelopes.Response(call_id=request.call_id, status=200, body=body))

    arguments = {"project_id": site.project_id, "step_id": STEP}
    async with cloud.connected(site, answering=answer), client(cloud, site.token) as planner:
        result = await planner.call_tool("steps_result", arguments)
        artifacts = await planner.call_tool("artifacts_list", arguments)
    assert [block.uri for block in result.content[1:]] == [uri_of(site, f"steps/{STEP}/patch")]
    (link,) = artifacts.content[1:]
    assert (link.uri, link.name, link.size) == (uri_of(site, f"artifacts/{ARTIFACT}"), "changes.patch", len(PATCH))


@pytest.mark.parametrize(
    "change", [{"size_bytes": tools.RESOURCE_BYTES + 1}, {"expired_at": "2026-11-01T00:00:00Z"}],
    ids=["too long", "expired"],
)  # fmt: skip
async def test_nothing_points_at_what_is_too_long_or_expired(cloud: Cloud, site: Site, change: dict[str, Any]) -> None:
    patch = {**RESULT["patch"], **change}

    async def answer(connector: scripted.ScriptedConnector, request: Any) -> None:
        body = {"items": [patch]} if request.operation == "artifacts.list" else {**RESULT, "patch": patch}
        await connector.send(scripted.envelopes.Response(call_id=request.call_id, status=200, body=body))

    arguments = {"project_id": site.project_id, "step_id": STEP}
    async with cloud.connected(site, answering=answer), client(cloud, site.token) as planner:
        for tool in ("steps_result", "artifacts_list"):
            answered = await planner.call_tool(tool, arguments)
            assert not answered.is_error
            assert ARTIFACT in str(answered.structured_content)
            assert [block.type for block in answered.content] == ["text"]


async def test_a_machine_that_refuses_is_told_with_its_code(cloud: Cloud, site: Site) -> None:
    refusing = scripted.answer_error(errors.StorageFull())
    async with cloud.connected(site, answering=refusing), client(cloud, site.token) as planner:
        with pytest.raises(MCPError) as told:
            await planner.read_resource(uri_of(site, f"runs/{RUN}"))
    assert told.value.error.data["code"] == "storage_full"
