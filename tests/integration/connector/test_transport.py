"""The connector's end of the websocket, against relays that behave and relays that do not."""

import asyncio
import socket as sockets

import pytest

from connector_agent import config as settings
from connector_agent import identity
from connector_agent.transport import LinkLost, RelayUnreachable, link_open
from local_daemon.protocol import envelopes, limits
from tests.integration.connector.scripted_relay import (
    RelayLink,
    ScriptedRelay,
    meet_and_check,
    relay_open,
)


async def link_lost(home: settings.Home, relay: ScriptedRelay) -> LinkLost:
    with pytest.raises(LinkLost) as lost:
        async with link_open(relay.enrollment, identity.identity_read(home), ca_file=None) as socket:
            await socket.receive()
    return lost.value


async def test_the_key_proves_who_dials(home: settings.Home) -> None:
    me = identity.identity_read(home)
    async with (
        relay_open(meet_and_check(me.public_key)) as relay,
        link_open(relay.enrollment, me, ca_file=None) as socket,
    ):
        assert socket.epoch == 7


async def test_no_proof_is_made_for_another_relays_name(home: settings.Home) -> None:
    async def meeting(relay: ScriptedRelay, opened: RelayLink) -> None:
        await opened.challenge("ropeway.example")

    async with relay_open(meeting) as relay:
        assert (await link_lost(home, relay)).code == "unauthenticated"


@pytest.mark.parametrize(("close", "code"), [(4401, "unauthenticated"), (4426, "protocol_mismatch"), (1011, None)])
async def test_a_close_code_of_the_relay_says_why(home: settings.Home, close: int, code: str | None) -> None:
    async def meeting(relay: ScriptedRelay, opened: RelayLink) -> None:
        await opened.challenge(relay.audience)
        await opened.socket.close(close, "so")

    async with relay_open(meeting) as relay:
        lost = await link_lost(home, relay)
    assert (lost.code, "so" in str(lost)) == (code, True)


@pytest.mark.parametrize("message", ["garbage", b"\x00", b"\x01" * 50, '{"type":"welcome","epoch":1}'])
async def test_garbage_on_an_open_link_ends_it(home: settings.Home, message: str | bytes) -> None:
    async def meeting(relay: ScriptedRelay, opened: RelayLink) -> None:
        await opened.challenge(relay.audience)
        await opened.welcome(1)
        await opened.socket.send(message)
        await opened.take_in()

    async with relay_open(meeting) as relay:
        assert (await link_lost(home, relay)).code == "invalid_request"


async def test_a_frame_beyond_the_limit_ends_the_link(home: settings.Home) -> None:
    async def meeting(relay: ScriptedRelay, opened: RelayLink) -> None:
        await opened.challenge(relay.audience)
        await opened.welcome(1)
        await opened.socket.send(b"x" * (limits.FRAME_BYTES + 1))
        await opened.take_in()

    async with relay_open(meeting) as relay:
        await link_lost(home, relay)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_what_is_no_relay_is_unreachable(home: settings.Home, scheme: str) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        enrolled = settings.Enrollment(cloud_url=url, connector_id="c")
        with pytest.raises(RelayUnreachable):
            async with link_open(enrolled, identity.identity_read(home), ca_file=None):
                pass


async def test_certificates_that_cannot_be_read_are_said(home: settings.Home) -> None:
    enrolled = settings.Enrollment(cloud_url="https://127.0.0.1:1", connector_id="c")
    with pytest.raises(RelayUnreachable, match="ca_file"):
        async with link_open(enrolled, identity.identity_read(home), ca_file=str(home.root / "none.pem")):
            pass


async def test_a_relay_that_never_speaks_is_given_up(home: settings.Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HANDSHAKE_S", 0.1)
    with sockets.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        enrolled = settings.Enrollment(cloud_url=url, connector_id="c")
        with pytest.raises(RelayUnreachable, match="in time"):
            async with link_open(enrolled, identity.identity_read(home), ca_file=None):
                pass


async def test_a_relay_that_fell_silent_is_noticed(home: settings.Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(limits, "LINK_SILENCE_S", 0.3)
    async with relay_open() as relay:
        with pytest.raises(LinkLost, match="silent"):
            async with link_open(relay.enrollment, identity.identity_read(home), ca_file=None) as socket:
                await socket.keep_alive()
        assert await (await relay.link()).until(envelopes.Heartbeat)


async def test_a_relay_that_takes_nothing_in_is_noticed_behind_a_full_buffer(
    home: settings.Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.1)
    over = asyncio.Event()

    async def meeting(relay: ScriptedRelay, opened: RelayLink) -> None:
        await opened.challenge(relay.audience)
        await opened.welcome(1)
        opened.socket.transport.pause_reading()
        await over.wait()
        opened.socket.transport.abort()

    async with relay_open(meeting) as relay:
        with pytest.raises(LinkLost, match="takes nothing in"):
            async with link_open(relay.enrollment, identity.identity_read(home), ca_file=None) as socket:
                filling = asyncio.create_task(fill(socket.send))
                try:
                    await socket.keep_alive()
                finally:
                    over.set()
                    filling.cancel()
                    await asyncio.gather(filling, return_exceptions=True)


async def fill(send: object) -> None:
    assert callable(send)
    call_id = "call_" + "0" * 26
    while True:
        await send(envelopes.Chunk(call_id=call_id, offset=0, payload=bytes(limits.CHUNK_BYTES)))
