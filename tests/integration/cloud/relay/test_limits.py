"""A caller who asks too often, as HTTP tells it."""

import asyncio
import json
from typing import Any

import pytest

from cloud.limits import standings
from local_daemon.protocol import limits
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.relay.test_http import assert_problem


async def test_http_says_429_and_when_to_retry(cloud: Cloud, limited: Site) -> None:
    async with cloud.connected(limited) as machine, cloud.planner(limited) as planner:
        answers = [await planner.get("/runs") for _ in range(3)]
        assert len(await machine.requests(2)) == 2
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert_problem(answers[2], "rate_limited")
    assert 0 < int(answers[2].headers["retry-after"]) <= 60


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
