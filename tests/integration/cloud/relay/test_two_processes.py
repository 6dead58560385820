"""A call made in one process, for a machine linked to another: PostgreSQL wakes, the row decides."""

import asyncio

import pytest
from django.db import connection

from cloud.dispatch.services import dispatch_operation_sync
from local_daemon.protocol import errors
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.relay.test_http import audit_of

BODY = {"objective": "Try it."}


async def test_a_call_made_here_is_answered_by_a_machine_linked_there(
    cloud: Cloud, elsewhere: Cloud, site: Site
) -> None:
    async with elsewhere.connected(site) as machine, cloud.planner(site) as planner:
        written = await planner.post("/runs", json=BODY)
        read = await planner.get("/runs")
        assert len(await machine.requests(2)) == 2
    assert (written.status_code, read.status_code) == (200, 200)
    assert read.json()["operation"] == "runs.list"
    told = await scripted.in_thread(lambda: audit_of(site))
    assert [row.event_type for row in told] == ["call:accepted", "call:answered"] * 2


async def test_content_comes_whole_from_a_machine_linked_there(cloud: Cloud, elsewhere: Cloud, site: Site) -> None:
    content = bytes(range(256)) * 5_000
    async with (
        elsewhere.connected(site, answering=scripted.answer_content(content)),
        cloud.planner(site) as planner,
    ):
        answer = await planner.get("/artifacts/art_" + "0" * 26 + "/content")
    assert answer.content == content


async def test_a_process_without_links_makes_calls_too(elsewhere: Cloud, site: Site) -> None:
    """As the worker does: no event loop, no socket, no Redis."""
    async with elsewhere.connected(site) as machine:
        answered = await scripted.in_request(lambda: _worker_call(site))
        assert len(await machine.requests()) == 1
    assert answered.body["body"] == BODY
    assert answered.body["actor"].startswith("token:")


async def test_a_process_without_links_learns_that_the_machine_is_away(elsewhere: Cloud, site: Site) -> None:
    async with elsewhere.connected(site):
        pass
    await scripted.until_unlinked(site.connector)
    with pytest.raises(errors.ConnectorOffline):
        await scripted.in_request(lambda: _worker_call(site, deadline_s=5))


async def test_a_machine_that_moves_to_another_process_gets_its_calls_there(
    cloud: Cloud, elsewhere: Cloud, site: Site
) -> None:
    async with cloud.planner(site) as planner:
        async with cloud.connected(site, answering=scripted.answer_never) as machine:
            asking = asyncio.create_task(planner.post("/runs", json=BODY))
            (lost,) = await machine.requests()
        async with elsewhere.connected(site) as machine:
            (again,) = await machine.requests()
            answer = await asking
    assert answer.status_code == 200
    assert again.call_id == lost.call_id


def _worker_call(site: Site, *, deadline_s: float | None = None) -> object:
    # A serving process has an event loop that carries calls; this one has none, like the worker.
    assert not connection.in_atomic_block
    return dispatch_operation_sync(
        principal=site.tenant.principal(),
        operation_name="runs.create",
        project_id=site.project_id,
        parameters={},
        query={},
        body=BODY,
        deadline_s=deadline_s,
    )
