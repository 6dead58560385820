"""A connector that does as the test says: it speaks the real link on a real websocket; no daemon is behind it."""

import asyncio
import base64
import secrets
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import websockets
from django.db import connections

from cloud.connectors.models import Connector
from cloud.tenancy import scope
from cloud.tenancy.threads import in_database_thread
from local_daemon.protocol import envelopes, errors, link, version
from tests.integration.cloud.machines import Machine

Answering = Callable[["ScriptedConnector", envelopes.Request], Awaitable[None]]


class Refused(Exception):
    """The relay said goodbye instead of welcome."""

    def __init__(self, goodbye: envelopes.Goodbye) -> None:
        super().__init__(goodbye.code)
        self.goodbye = goodbye


@dataclass(slots=True, kw_only=True)
class ScriptedConnector:
    """One link, open for as long as the test wants."""

    machine: Machine
    connector_id: str
    socket: websockets.ClientConnection
    wire: link.Link
    answering: Answering
    received: list[envelopes.Frame] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    bodies: dict[str, envelopes.StreamReceiver] = field(default_factory=dict)
    epoch: int = 0

    async def send(self, frame: envelopes.Frame) -> None:
        await self.socket.send(self.wire.send(frame, now=asyncio.get_running_loop().time()))

    async def receive(self) -> envelopes.Frame:
        return self.wire.receive(await self.socket.recv(), now=asyncio.get_running_loop().time())

    async def prove(self) -> None:
        hello = await self.receive()
        assert isinstance(hello, envelopes.Hello)
        nonce = base64.b64encode(secrets.token_bytes(32)).decode()
        signed = link.proof_message(
            audience=hello.audience, connector_id=self.connector_id, relay_nonce=hello.nonce, connector_nonce=nonce
        )
        await self.send(
            envelopes.Proof(
                version=version.PROTOCOL_VERSION,
                connector_id=self.connector_id,
                nonce=nonce,
                signature=self.machine.signed(signed),
            )
        )
        welcome = await self.receive()
        if isinstance(welcome, envelopes.Goodbye):
            raise Refused(welcome)
        assert isinstance(welcome, envelopes.Welcome)
        self.epoch = welcome.epoch

    async def serve(self) -> None:
        """Take frames in until the link ends, and answer requests as the script says."""
        async with asyncio.TaskGroup() as answers:
            while True:
                try:
                    frame = await self.receive()
                except websockets.ConnectionClosed:
                    break
                async with self.arrived:
                    self.received.append(frame)
                    self.arrived.notify_all()
                if isinstance(frame, envelopes.Request):
                    answers.create_task(self.answering(self, frame))

    async def until(self, wanted: Callable[[envelopes.Frame], bool], *, count: int = 1) -> list[envelopes.Frame]:
        """The frames that fit, once there are `count` of them."""
        async with asyncio.timeout(60), self.arrived:
            await self.arrived.wait_for(lambda: sum(map(wanted, self.received)) >= count)
            return [frame for frame in self.received if wanted(frame)]

    async def requests(self, count: int = 1) -> list[envelopes.Request]:
        frames = await self.until(lambda frame: isinstance(frame, envelopes.Request), count=count)
        return [frame for frame in frames if isinstance(frame, envelopes.Request)]


async def answer_ok(connector: ScriptedConnector, request: envelopes.Request) -> None:
    """Say what was asked."""
    asked: dict[str, Any] = {
        "call_id": request.call_id,
        "operation": request.operation,
        "parameters": request.parameters,
        "query": request.query,
        "body": request.body,
        "actor": request.actor,
    }
    await connector.send(envelopes.Response(call_id=request.call_id, status=200, body=asked))


async def answer_never(connector: ScriptedConnector, request: envelopes.Request) -> None:
    """Leave the call without an answer."""


def answer_error(error: errors.RopewayError) -> Answering:
    """Refuse every call."""

    async def answer(connector: ScriptedConnector, request: envelopes.Request) -> None:
        await connector.send(
            envelopes.Response(call_id=request.call_id, status=error.row.http, problem=error.problem())
        )

    return answer


def answer_content(content: bytes) -> Answering:
    """Stream the range asked for, within the credit."""

    async def answer(connector: ScriptedConnector, request: envelopes.Request) -> None:
        offset = int(request.query.get("offset", 0))
        piece = content[offset : offset + int(request.query.get("length", len(content)))]
        head = envelopes.StreamHead(
            media_type="text/x-diff", size_bytes=len(piece), offset=offset, total_bytes=len(content)
        )
        await connector.send(envelopes.Response(call_id=request.call_id, status=200, stream=head))
        sender = envelopes.StreamSender(call_id=request.call_id)
        while sender.offset < len(piece):
            if not sender.allowance:
                granted = await connector.until(
                    lambda frame: (
                        isinstance(frame, envelopes.Credit)
                        and frame.call_id == request.call_id
                        and frame.limit > sender.limit
                    )
                )
                sender.grant(max(frame.limit for frame in granted if isinstance(frame, envelopes.Credit)))
            await connector.send(sender.chunk(piece[sender.offset : sender.offset + sender.allowance]))
        await connector.send(sender.end())

    return answer


@asynccontextmanager
async def connected(  # type: ignore[no-untyped-def]
    port: int,
    connector_id: str,
    machine: Machine,
    *,
    shares: envelopes.Advertise | None = None,
    answering: Answering = answer_ok,
):
    """A link that has proved itself and advertised; closed on leaving."""
    loop = asyncio.get_running_loop()
    url = f"ws://127.0.0.1:{port}/ws/connectors"
    async with websockets.connect(url, subprotocols=["ropeway.v1"], compression=None, max_size=None) as socket:  # type: ignore[list-item]
        connector = ScriptedConnector(
            machine=machine,
            connector_id=connector_id,
            socket=socket,
            wire=link.Link(side=link.Side.CONNECTOR, opened_at=loop.time()),
            answering=answering,
        )
        await connector.prove()
        serving = asyncio.create_task(connector.serve())
        if shares is not None:
            await connector.send(shares)
            await connector.until(lambda frame: isinstance(frame, envelopes.Follow), count=len(shares.repositories))
        yield connector
        await socket.close()
        await serving


async def until_unlinked(connector: Connector) -> None:
    """The link's end is recorded in the background. A call before that waits for the machine's next link."""

    def is_linked() -> bool:
        with scope.organization(connector.organization_id):
            return Connector.objects.get(id=connector.id).link_owner != ""

    async with asyncio.timeout(60):
        while await in_thread(is_linked):
            pass


async def in_thread(function: Callable[[], Any]) -> Any:
    """Run what touches the database from a test that has an event loop."""
    return await in_database_thread(function)


async def in_request(function: Callable[[], Any]) -> Any:
    """Run a browser's request, which opens a tenant scope and connections of its own, in a thread of its own."""

    def run() -> Any:
        try:
            return function()
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)
