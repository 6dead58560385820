"""Who may open a link, and how it is told that it may not."""

import pytest
import websockets

from cloud.access import authorization
from cloud.connectors import services as connectors
from cloud.tenancy import scope
from local_daemon.protocol import envelopes, ids
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site


async def test_a_wrong_key_an_unknown_and_a_disabled_connector_look_alike(cloud: Cloud, site: Site) -> None:
    def disable() -> None:
        with scope.organization(site.tenant.id):
            grant = authorization.authorize(site.tenant.principal(), Scope.CONNECTORS_WRITE)
            connectors.connector_disable(grant=grant, connector_id=site.connector.id)

    attempts = [(str(site.connector.id), Machine()), (str(ids.new_uuid7()), site.machine), ("nobody", site.machine)]
    told = [await _goodbye(cloud, connector_id, machine) for connector_id, machine in attempts]
    await scripted.in_thread(disable)
    told.append(await _goodbye(cloud, str(site.connector.id), site.machine))
    assert {goodbye.code for goodbye in told} == {"unauthenticated"}
    assert len({goodbye.detail for goodbye in told}) == 1


async def _goodbye(cloud: Cloud, connector_id: str, machine: Machine) -> envelopes.Goodbye:
    with pytest.raises(scripted.Refused) as caught:
        async with scripted.connected(cloud.port, connector_id, machine):
            pass
    return caught.value.goodbye


async def test_without_our_subprotocol_nothing_opens(cloud: Cloud) -> None:
    with pytest.raises(websockets.InvalidStatus) as caught:
        await websockets.connect(f"ws://127.0.0.1:{cloud.port}/ws/connectors", proxy=None)
    assert caught.value.response.status_code == 403


async def test_by_a_name_that_is_not_ours_nothing_opens(cloud: Cloud) -> None:
    with pytest.raises(websockets.InvalidStatus) as caught:
        await websockets.connect(
            f"ws://evil.example:{cloud.port}/ws/connectors",
            host="127.0.0.1",
            subprotocols=["ropeway.v1"],  # type: ignore[list-item]
            proxy=None,
        )
    assert caught.value.response.status_code == 403


async def test_a_call_before_the_proof_ends_the_link(cloud: Cloud) -> None:
    url = f"ws://127.0.0.1:{cloud.port}/ws/connectors"
    async with websockets.connect(url, subprotocols=["ropeway.v1"], proxy=None) as socket:  # type: ignore[list-item]
        await socket.recv()
        await socket.send(envelopes.encode(envelopes.Heartbeat()))
        goodbye = envelopes.decode(await socket.recv())
        await socket.wait_closed()
    assert isinstance(goodbye, envelopes.Goodbye)
    assert goodbye.code == "invalid_request"
