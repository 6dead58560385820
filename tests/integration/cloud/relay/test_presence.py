"""A connector is online while anything is heard of it, and no longer than it may be."""

import asyncio

import pytest

from cloud.access import authorization
from cloud.connectors import services
from cloud.connectors.models import Connector
from cloud.tenancy import organizations, scope
from local_daemon.protocol import envelopes, limits
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site


def connector_of(site: Site) -> Connector:
    with scope.organization(site.tenant.id):
        return Connector.objects.get()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes pass in moments."""
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.1)


async def test_answers_are_signs_of_life_as_good_as_heartbeats(quick: None, cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site), cloud.planner(site) as planner:
        before = (await scripted.in_thread(lambda: connector_of(site))).last_seen_at
        async with asyncio.timeout(60):
            while (await scripted.in_thread(lambda: connector_of(site))).last_seen_at == before:
                assert (await planner.get("/runs")).status_code == 200


async def test_the_relay_says_that_it_is_there(quick: None, cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site) as machine:
        await machine.until(lambda frame: isinstance(frame, envelopes.Heartbeat), count=2)


async def test_a_silent_connector_is_closed_and_offline(
    quick: None, cloud: Cloud, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cloud.connected(site) as machine:
        # Only now that it means to be silent: connecting may take a busy machine longer than a moment.
        monkeypatch.setattr(limits, "LINK_SILENCE_S", 1.0)
        goodbye = await machine.until(lambda frame: isinstance(frame, envelopes.Goodbye))
    assert [frame.code for frame in goodbye if isinstance(frame, envelopes.Goodbye)] == ["deadline_exceeded"]
    await scripted.until_unlinked(site.connector)


@pytest.mark.parametrize("what", ["the connector", "its organization"])
async def test_what_is_shut_out_loses_its_link_at_once(cloud: Cloud, site: Site, what: str) -> None:
    def shut_out() -> None:
        with scope.organization(site.tenant.id):
            if what == "the connector":
                grant = authorization.authorize(site.tenant.principal(), Scope.CONNECTORS_WRITE)
                services.connector_disable(grant=grant, connector_id=site.connector.id)
            else:
                suspend = organizations.organization_suspend
                grant = authorization.authorize_for(site.tenant.principal(), suspend)
                suspend(grant=grant, expected_version=None)

    async with cloud.connected(site) as machine:
        await scripted.in_thread(shut_out)
        goodbye = await machine.until(lambda frame: isinstance(frame, envelopes.Goodbye))
    assert [frame.code for frame in goodbye if isinstance(frame, envelopes.Goodbye)] == ["connector_offline"]
