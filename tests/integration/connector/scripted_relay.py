"""A relay that does as the test says: the real link on a real websocket; no cloud is behind it."""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import websockets
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from connector_agent.config import Enrollment
from local_daemon.protocol import envelopes, link, version

F = TypeVar("F", bound=envelopes.Frame)
WITHIN_S = 60
CONNECTOR_ID = "connector-1"


@dataclass(slots=True, kw_only=True)
class RelayLink:
    """The relay's end of one link."""

    socket: ServerConnection
    wire: link.Link
    received: list[envelopes.Frame] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, *frames: envelopes.Frame) -> None:
        for frame in frames:
            await self.socket.send(self.wire.send(frame, now=asyncio.get_running_loop().time()))

    async def receive(self) -> envelopes.Frame:
        return self.wire.receive(await self.socket.recv(), now=asyncio.get_running_loop().time())

    async def challenge(self, audience: str) -> tuple[envelopes.Hello, envelopes.Proof]:
        nonce = base64.b64encode(secrets.token_bytes(32)).decode()
        hello = envelopes.Hello(versions=(version.PROTOCOL_VERSION,), nonce=nonce, audience=audience)
        await self.send(hello)
        proof = await self.receive()
        assert isinstance(proof, envelopes.Proof)
        return hello, proof

    async def welcome(self, epoch: int) -> None:
        await self.send(envelopes.Welcome(epoch=epoch, heartbeat_s=15, silence_s=45))

    async def take_in(self) -> None:
        """Keep what comes until the link ends."""
        try:
            while True:
                frame = await self.receive()
                async with self.arrived:
                    self.received.append(frame)
                    self.arrived.notify_all()
        except websockets.ConnectionClosed:
            self.ended.set()

    async def until(self, kind: type[F], wanted: Callable[[F], bool] = lambda _: True, *, count: int = 1) -> list[F]:
        """The frames that fit, once there are `count` of them."""

        def found() -> list[F]:
            return [frame for frame in self.received if isinstance(frame, kind) and wanted(frame)]

        async with asyncio.timeout(WITHIN_S), self.arrived:
            await self.arrived.wait_for(lambda: len(found()) >= count)
            return found()


Meeting = Callable[["ScriptedRelay", RelayLink], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class ScriptedRelay:
    """Meets every connection as `meeting` says, and hands the open links to the test."""

    meeting: Meeting
    port: int = 0
    dialled: int = 0
    links: asyncio.Queue[RelayLink] = field(default_factory=asyncio.Queue)

    @property
    def audience(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def enrollment(self) -> Enrollment:
        return Enrollment(cloud_url=f"http://{self.audience}", connector_id=CONNECTOR_ID)

    async def link(self) -> RelayLink:
        """The next link that was opened."""
        async with asyncio.timeout(WITHIN_S):
            return await self.links.get()


async def meet(relay: ScriptedRelay, opened: RelayLink) -> None:
    """Challenge, welcome whoever answers, and take in what comes."""
    await opened.challenge(relay.audience)
    await opened.welcome(relay.dialled)
    relay.links.put_nowait(opened)
    await opened.take_in()


def meet_and_check(public_key: str) -> Meeting:
    """As `meet`, for who holds this key only."""

    async def meeting(relay: ScriptedRelay, opened: RelayLink) -> None:
        hello, proof = await opened.challenge(relay.audience)
        signed = link.proof_message(
            audience=relay.audience,
            connector_id=CONNECTOR_ID,
            relay_nonce=hello.nonce,
            connector_nonce=proof.nonce,
        )
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key))
        key.verify(base64.b64decode(proof.signature), signed)
        await opened.welcome(7)
        relay.links.put_nowait(opened)
        await opened.take_in()

    return meeting


@asynccontextmanager
async def relay_open(meeting: Meeting = meet, *, port: int = 0) -> AsyncIterator[ScriptedRelay]:
    """A relay that listens until the block ends, and then drops every link."""
    relay = ScriptedRelay(meeting=meeting)

    async def met(socket: ServerConnection) -> None:
        relay.dialled += 1
        wire = link.Link(side=link.Side.RELAY, opened_at=asyncio.get_running_loop().time())
        await relay.meeting(relay, RelayLink(socket=socket, wire=wire))

    subprotocols = [Subprotocol("ropeway.v1")]
    async with serve(met, "127.0.0.1", port, subprotocols=subprotocols, ping_interval=None, max_size=None) as server:
        relay.port = next(iter(server.sockets)).getsockname()[1]
        yield relay
