"""How a connector proves itself: hello, proof, welcome, within the handshake's time.

The connector signs both sides' nonces and the name it dialled, so neither an old proof nor one made for another relay
is worth anything here. An unknown connector and a wrong signature look the same from outside.
Called by `consumers`. Tests: tests/integration/cloud/relay/test_handshake.py.
"""

import asyncio
import base64
import secrets
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from local_daemon.protocol import envelopes, errors, limits, link, version
from relay.ports import LinkBook, LinkGrant


class Socket(Protocol):
    """One websocket: whole messages in, whole messages out."""

    async def read(self) -> str | bytes:
        """The next message. Raises ConnectionError when the other end is gone."""

    async def write(self, message: str | bytes) -> None:
        """Send one message."""


async def handshake(
    socket: Socket, wire: link.Link, *, audience: str, remote_address: str | None, links: LinkBook
) -> LinkGrant:
    """Let a connector prove itself and open its link. Raises Unauthenticated, ProtocolMismatch, InvalidRequest,
    DeadlineExceeded, and ConnectionError when it goes away."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(limits.HANDSHAKE_S):
            nonce = base64.b64encode(secrets.token_bytes(link.NONCE_BYTES)).decode()
            hello = envelopes.Hello(versions=(version.PROTOCOL_VERSION,), nonce=nonce, audience=audience)
            await socket.write(wire.send(hello, now=loop.time()))
            proof = wire.receive(await socket.read(), now=loop.time())
            if not isinstance(proof, envelopes.Proof):
                raise errors.Unauthenticated("The connector did not prove itself.")
            link.choose_version((proof.version,))
            try:
                await _verify(proof, audience=audience, nonce=nonce, links=links)
            except errors.Unauthenticated:
                await links.refused(proof.connector_id, remote_address=remote_address)
                raise
            grant = await links.open(proof.connector_id, remote_address=remote_address)
    except TimeoutError as error:
        raise errors.DeadlineExceeded("The handshake took too long.") from error
    welcome = envelopes.Welcome(epoch=grant.epoch, heartbeat_s=limits.HEARTBEAT_S, silence_s=limits.LINK_SILENCE_S)
    await socket.write(wire.send(welcome, now=loop.time()))
    return grant


async def _verify(proof: envelopes.Proof, *, audience: str, nonce: str, links: LinkBook) -> None:
    signed = link.proof_message(
        audience=audience, connector_id=proof.connector_id, relay_nonce=nonce, connector_nonce=proof.nonce
    )
    try:
        key = Ed25519PublicKey.from_public_bytes(await links.identify(proof.connector_id))
        key.verify(base64.b64decode(proof.signature), signed)
    except (errors.NotFound, InvalidSignature, ValueError):
        raise errors.Unauthenticated("This connector is unknown here, disabled, or not who it says.") from None
