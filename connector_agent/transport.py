"""The websocket, as frames: opens it from inside, proves who dials, and speaks `protocol.link` over it.

The only place that knows the websocket library. Deliberately ignorant of calls. Called by `dialer`.
Tests: tests/integration/connector/test_transport.py.
"""

import asyncio
import base64
import contextlib
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from connector_agent.config import Enrollment
from connector_agent.identity import Identity
from local_daemon.protocol import envelopes, errors, limits, link, version

SUBPROTOCOL = Subprotocol(f"ropeway.v{version.PROTOCOL_VERSION}")
_CLOSE_CODES = {row.close: code for code, row in errors.TABLE.items() if row.close is not None}


class RelayUnreachable(Exception):
    """The relay could not be reached, or what answered is no relay."""


class LinkLost(Exception):
    """The link ended; `code` is one of the error table where the relay said why."""

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.code = code


class FrameSocket:
    """An open link: whole frames in and out. `send` may be called by any number of tasks."""

    def __init__(self, socket: ClientConnection, protocol: link.Link, *, epoch: int) -> None:
        """Use `link_open`."""
        self._socket = socket
        self._link = protocol
        self.epoch = epoch

    async def send(self, frame: envelopes.Frame) -> None:
        """Send one frame. Raises LinkLost."""
        if self._link.state is link.LinkState.CLOSED:
            raise LinkLost("the link has ended")
        try:
            await self._socket.send(self._link.send(frame, now=_now()))
        except ConnectionClosed as error:
            raise _lost(error) from error

    async def receive(self) -> envelopes.Frame:
        """The next frame. Raises LinkLost, also when the relay says goodbye or breaks the protocol."""
        try:
            frame = self._link.receive(await self._socket.recv(), now=_now())
        except ConnectionClosed as error:
            raise _lost(error) from error
        except errors.RopewayError as error:
            raise LinkLost(f"the relay broke the protocol: {error}", code=error.code) from error
        if isinstance(frame, envelopes.Goodbye):
            raise LinkLost(f"the relay said goodbye: {frame.detail or frame.code}", code=frame.code)
        return frame

    async def keep_alive(self) -> None:
        """Send a heartbeat whenever one is owed. Raises LinkLost when the relay fell silent."""
        while True:
            await asyncio.sleep(max(0.05, self._link.heartbeat_due_at() - _now()))
            if self._link.is_overdue(now=_now()):
                raise LinkLost("the relay fell silent")
            if self._link.heartbeat_due_at() <= _now():
                try:
                    # A peer that is gone without a word takes nothing in: behind a full buffer this waits for ever.
                    async with asyncio.timeout(limits.HEARTBEAT_S):
                        await self.send(envelopes.Heartbeat())
                except TimeoutError as error:
                    raise LinkLost("the relay takes nothing in") from error

    async def goodbye(self, code: str, detail: str) -> None:
        """Say why this side ends the link, where that is still possible."""
        with contextlib.suppress(LinkLost, errors.RopewayError):
            await self.send(envelopes.Goodbye(code=code, detail=detail))


@asynccontextmanager
async def link_open(enrollment: Enrollment, identity: Identity, *, ca_file: str | None) -> AsyncIterator[FrameSocket]:
    """Dial, prove, and hand out the open link. Raises RelayUnreachable, LinkLost."""
    try:
        context = ssl.create_default_context(cafile=ca_file) if enrollment.websocket_url.startswith("wss:") else None
    except OSError as error:
        raise RelayUnreachable(f"ca_file holds no certificates that can be read: {error}") from error
    try:
        async with (
            asyncio.timeout(limits.HANDSHAKE_S) as patience,
            connect(
                enrollment.websocket_url,
                subprotocols=[SUBPROTOCOL],
                compression=None,
                max_size=limits.FRAME_BYTES,
                ping_interval=None,
                user_agent_header=f"ropeway-connector/{version.__version__}",
                ssl=context,
            ) as socket,
        ):
            opened = await _handshake(socket, enrollment, identity)
            patience.reschedule(None)
            yield opened
    except TimeoutError as error:
        raise RelayUnreachable("the relay did not answer in time") from error
    except (OSError, InvalidHandshake, InvalidURI) as error:
        raise RelayUnreachable(f"{enrollment.cloud_url}: {error}") from error


async def _handshake(socket: ClientConnection, enrollment: Enrollment, identity: Identity) -> FrameSocket:
    protocol = link.Link(side=link.Side.CONNECTOR, opened_at=_now())
    frames = FrameSocket(socket, protocol, epoch=0)
    hello = await frames.receive()
    if not isinstance(hello, envelopes.Hello):
        raise LinkLost("the relay did not begin with hello")
    if hello.audience != enrollment.audience:
        # Signing for another name would let whoever answered pass our proof on to the real relay.
        raise LinkLost(f"the relay asked for a proof for {hello.audience!r}", code=errors.Unauthenticated.code)
    nonce = base64.b64encode(secrets.token_bytes(link.NONCE_BYTES)).decode("ascii")
    message = link.proof_message(
        audience=hello.audience,
        connector_id=enrollment.connector_id,
        relay_nonce=hello.nonce,
        connector_nonce=nonce,
    )
    try:
        spoken = link.choose_version(hello.versions)
    except errors.ProtocolMismatch as error:
        raise LinkLost(error.detail, code=error.code) from error
    await frames.send(
        envelopes.Proof(
            version=spoken,
            connector_id=enrollment.connector_id,
            nonce=nonce,
            signature=identity.proof(message),
            software=version.__version__,
        )
    )
    welcome = await frames.receive()
    if not isinstance(welcome, envelopes.Welcome):
        raise LinkLost("the relay did not answer the proof")
    return FrameSocket(socket, protocol, epoch=welcome.epoch)


def _lost(error: ConnectionClosed) -> LinkLost:
    received = error.rcvd
    code = None if received is None else _CLOSE_CODES.get(received.code)
    reason = "" if received is None else received.reason
    return LinkLost(f"the connection ended{': ' + reason if reason else ''}", code=code)


def _now() -> float:
    return asyncio.get_running_loop().time()
