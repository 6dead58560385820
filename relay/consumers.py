"""The connectors' door: one websocket each at /ws/connectors, as plain ASGI.

It owns the socket and its two clocks (heartbeat, silence); what is said is `links`' affair. Any ASGI server will do.
Mounted by the wiring. Tests: tests/integration/cloud/relay/test_consumers.py.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from local_daemon.protocol import envelopes, errors, version
from local_daemon.protocol.link import Link, Side
from relay.handshake import handshake
from relay.links import LiveLink
from relay.router import Router

PATH = "/ws/connectors"
SUBPROTOCOL = f"ropeway.v{version.PROTOCOL_VERSION}"
_OUR_SUBPROTOCOLS = "ropeway.v"
_CLOSE_OFFSET = 4000
"""What a close code is above its HTTP status, where the table of errors says nothing else."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

logger = logging.getLogger(__name__)


class ConnectorSocket:
    """One ASGI websocket as whole messages."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._is_gone = False

    async def accept(self, subprotocol: str | None) -> None:
        """Let it open."""
        await self._receive()
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol})

    async def refuse(self) -> None:
        """Do not let it open."""
        await self._receive()
        await self._send({"type": "websocket.close"})

    async def read(self) -> str | bytes:
        """The next message. Raises ConnectionError when the other end is gone."""
        event = await self._receive()
        if event["type"] != "websocket.receive":
            self._is_gone = True
            raise ConnectionError("the connector is gone")
        text: str | None = event.get("text")
        return text if text is not None else bytes(event["bytes"])

    async def write(self, message: str | bytes) -> None:
        """Send one message; nothing happens once the other end is gone."""
        if not self._is_gone:
            key = "text" if isinstance(message, str) else "bytes"
            await self._send({"type": "websocket.send", key: message})

    async def close(self, code: int) -> None:
        """End it."""
        if not self._is_gone:
            self._is_gone = True
            await self._send({"type": "websocket.close", "code": code})


class ConnectorDoor:
    """The ASGI application."""

    def __init__(self, router: Router, *, is_host_allowed: Callable[[str], bool]) -> None:
        """`is_host_allowed`: whether a Host header names us; it is what a connector must sign for."""
        self._router = router
        self._is_host_allowed = is_host_allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connector from its handshake to its end."""
        socket = ConnectorSocket(receive, send)
        audience = _header(scope, b"host")
        offered: Collection[str] = scope.get("subprotocols") or ()
        if not any(name.startswith(_OUR_SUBPROTOCOLS) for name in offered) or not self._is_host_allowed(audience):
            await socket.refuse()
            return
        try:
            await self._serve_proven(scope, socket, audience, is_spoken=SUBPROTOCOL in offered)
        except ConnectionError:
            return
        except errors.RopewayError as error:
            logger.warning("A connector was refused: %s", error, extra={"event": "link.refused", "code": error.code})
            await _part(socket, error)
        except Exception:
            logger.exception("A connector was not served", extra={"event": "link.failed"})
            await _part(socket, errors.Internal())

    async def _serve_proven(self, scope: Scope, socket: ConnectorSocket, audience: str, *, is_spoken: bool) -> None:
        await socket.accept(SUBPROTOCOL if is_spoken else None)
        if not is_spoken:
            # Of another version: let in far enough to be told so.
            raise errors.ProtocolMismatch(spoken=[version.PROTOCOL_VERSION])
        client = scope.get("client")
        wire_link = Link(side=Side.RELAY, opened_at=asyncio.get_running_loop().time())
        grant = await handshake(
            socket,
            wire_link,
            audience=audience,
            remote_address=client[0] if client else None,
            links=self._router.books.links,
        )
        reason: asyncio.Future[errors.RopewayError] = asyncio.get_running_loop().create_future()
        link = LiveLink(
            grant=grant,
            wire_link=wire_link,
            write=socket.write,
            hang_up=lambda error: None if reason.done() else reason.set_result(error),
            books=self._router.books,
            pending=self._router.pending,
        )
        await self._serve(link, socket, reason)

    async def _serve(
        self, link: LiveLink, socket: ConnectorSocket, reason: "asyncio.Future[errors.RopewayError]"
    ) -> None:
        facts = {"connector_id": link.grant.connector_id, "epoch": link.grant.epoch}
        logger.info("link opened", extra={"event": "link.opened", **facts})
        self._router.link_attached(link)
        reading = asyncio.ensure_future(_read(link, socket))
        beating = asyncio.ensure_future(link.beat())
        error: errors.RopewayError = errors.ConnectorOffline("The relay is shutting down.")
        try:
            await asyncio.wait((reading, beating, reason), return_when=asyncio.FIRST_COMPLETED)
            error = reason.result() if reason.done() else _why_ended(reading, beating)
        finally:
            reading.cancel()
            beating.cancel()
            await asyncio.gather(reading, beating, return_exceptions=True)
            await link.end(error)
            await self._router.link_detached(link)
            await socket.close(close_code(error))
            logger.info("link closed: %s", error, extra={"event": "link.closed", "code": error.code, **facts})


async def _read(link: LiveLink, socket: ConnectorSocket) -> None:
    while True:
        await link.receive(await socket.read())


def _why_ended(*tasks: "asyncio.Future[None]") -> errors.RopewayError:
    for task in tasks:
        if not task.done():
            continue
        error = task.exception()
        if isinstance(error, errors.RopewayError):
            return error
        if isinstance(error, ConnectionError):
            return errors.ConnectorOffline("The connector closed the link.")
        if error is not None:
            logger.error("A link failed", exc_info=error, extra={"event": "link.failed"})
            return errors.Internal()
    return errors.DeadlineExceeded("The connector fell silent.")


async def _part(socket: ConnectorSocket, error: errors.RopewayError) -> None:
    """Say why, and end it; a connector that is gone by then need not hear it."""
    with contextlib.suppress(ConnectionError):
        await socket.write(envelopes.encode(envelopes.Goodbye(code=error.code, detail=error.detail)))
        await socket.close(close_code(error))


def close_code(error: errors.RopewayError) -> int:
    """The websocket close code that says what the error's HTTP status would."""
    return error.row.close or _CLOSE_OFFSET + error.row.http


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
