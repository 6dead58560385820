"""A caller who asks too often, as HTTP and MCP tell it."""

from typing import Any

import pytest

from cloud.limits import services, standings
from cloud.limits.allowances import Allowance
from cloud.tenancy import scope
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.relay.test_http import assert_problem
from tests.integration.cloud.relay.test_mcp import client


@pytest.fixture
def limited(site: Site) -> Any:
    """The site's organization may make two calls."""
    with scope.organization(site.tenant.id):
        services.organization_limits_set(
            organization_id=site.tenant.id,
            allowance=Allowance(calls_per_minute=1, calls_burst=2),
            actor=site.tenant.principal(),
        )
    yield site
    standings.standings_forget()


async def test_http_says_429_and_when_to_retry(cloud: Cloud, limited: Site) -> None:
    async with cloud.connected(limited) as machine, cloud.planner(limited) as planner:
        answers = [await planner.get("/runs") for _ in range(3)]
        assert len(await machine.requests(2)) == 2
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert_problem(answers[2], "rate_limited")
    assert 0 < int(answers[2].headers["retry-after"]) <= 60


async def test_mcp_says_so_in_its_result(cloud: Cloud, limited: Site) -> None:
    async with cloud.connected(limited), cloud.planner(limited) as first, client(cloud, limited.token) as planner:
        for _ in range(2):
            await first.get("/runs")
        result = await planner.call_tool("runs_list", {"project_id": limited.project_id})
    assert result.is_error
    told = result.structured_content["error"]
    assert (told["code"], told["retryable"]) == ("rate_limited", True)
    assert 0 < told["retry_after_s"] <= 60


async def test_tool_calls_that_do_not_hold_are_counted_too(cloud: Cloud, limited: Site) -> None:
    wrong = (("runs_list", {"project_id": limited.project_id, "colour": "red"}), ("runs_recent", {"limit": "many"}))
    async with client(cloud, limited.token) as planner:
        told = [(await planner.call_tool(*asked)).structured_content["error"]["code"] for asked in (*wrong, *wrong)]
    assert told == ["invalid_request", "invalid_request", "rate_limited", "rate_limited"]


async def test_two_processes_share_one_rate(cloud: Cloud, elsewhere: Cloud, limited: Site) -> None:
    async with cloud.connected(limited), cloud.planner(limited) as here, elsewhere.planner(limited) as there:
        statuses = [(await planner.get("/runs")).status_code for planner in (here, there, here, there)]
    assert statuses == [200, 200, 429, 429]
    await scripted.in_thread(standings.standings_forget)
