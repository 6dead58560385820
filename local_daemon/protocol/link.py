"""One websocket between connector and relay, without the socket: which frame may come when, from whom.

Messages in, frames out; frames in, messages out; time is handed in. It deliberately knows nothing of calls beyond their
ids and never touches a key: it says which bytes are signed, `identity` and the cloud sign and verify them.

    opening ──hello (relay)──▶ challenged ──proof (connector)──▶ proving ──welcome (relay)──▶ open ──goodbye──▶ closed

Called by `relay/links.py` and `connector_agent/transport.py`. Tests: tests/unit/daemon/protocol/test_link.py.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from local_daemon.protocol import envelopes, errors, limits, version

NONCE_BYTES = 32
_PROOF_DOMAIN = "ropeway-link-proof"


class Side(StrEnum):
    """Which end of the link this is."""

    RELAY = "relay"  # accepted the socket
    CONNECTOR = "connector"  # dialled it


class LinkState(StrEnum):
    """How far the link has come."""

    OPENING = "opening"  # the socket stands, nothing was said
    CHALLENGED = "challenged"  # the relay said hello
    PROVING = "proving"  # the connector proved itself; the relay has not agreed yet
    OPEN = "open"  # calls and events travel
    CLOSED = "closed"  # goodbye was said, or the protocol was broken


_HANDSHAKE: Mapping[tuple[LinkState, Side, str], LinkState] = MappingProxyType(
    {
        (LinkState.OPENING, Side.RELAY, "hello"): LinkState.CHALLENGED,
        (LinkState.CHALLENGED, Side.CONNECTOR, "proof"): LinkState.PROVING,
        (LinkState.PROVING, Side.RELAY, "welcome"): LinkState.OPEN,
    }
)
_WHEN_OPEN: Mapping[Side, frozenset[str]] = MappingProxyType(
    {
        Side.RELAY: frozenset({"request", "cancel", "follow", "ack", "chunk", "credit", "end", "heartbeat"}),
        Side.CONNECTOR: frozenset({"advertise", "response", "events", "chunk", "credit", "end", "heartbeat"}),
    }
)


def next_state(state: LinkState, sender: Side, frame_type: str) -> LinkState:
    """Where a frame of this type from this side leads. Raises InvalidRequest where it may not come."""
    if state is not LinkState.CLOSED and frame_type == "goodbye":
        return LinkState.CLOSED
    if state is LinkState.OPEN and frame_type in _WHEN_OPEN[sender]:
        return LinkState.OPEN
    try:
        return _HANDSHAKE[state, sender, frame_type]
    except KeyError:
        raise errors.InvalidRequest(f"frame {frame_type!r} from {sender} on a link that is {state}") from None


def proof_message(*, audience: str, connector_id: str, relay_nonce: str, connector_nonce: str) -> bytes:
    """The bytes a connector signs. Nonces are base64 of 32 random bytes, one of each side, so that neither an old
    proof nor one made for another relay is worth anything. Raises InvalidRequest for a malformed nonce."""
    for nonce in (relay_nonce, connector_nonce):
        _check_nonce(nonce)
    parts = (_PROOF_DOMAIN, str(version.PROTOCOL_VERSION), audience, connector_id, relay_nonce, connector_nonce)
    return "\n".join(parts).encode()


def _check_nonce(nonce: str) -> None:
    try:
        decoded = base64.b64decode(nonce, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != NONCE_BYTES:
        raise errors.InvalidRequest("malformed nonce")


def choose_version(offered: tuple[int, ...]) -> int:
    """The protocol version both sides speak. Raises ProtocolMismatch if there is none."""
    if version.PROTOCOL_VERSION not in offered:
        raise errors.ProtocolMismatch(offered=list(offered), spoken=[version.PROTOCOL_VERSION])
    return version.PROTOCOL_VERSION


@dataclass(slots=True, kw_only=True)
class Link:
    """One end of one link. `now` is seconds of any steady clock, the same for every call."""

    side: Side
    opened_at: float
    state: LinkState = LinkState.OPENING
    last_received_at: float = 0.0
    last_beat_at: float = 0.0

    def __post_init__(self) -> None:
        """Silence counts from the opening."""
        self.last_received_at = self.last_beat_at = self.opened_at

    def send(self, frame: envelopes.Frame, *, now: float) -> str | bytes:
        """The message for a frame of ours. Raises InvalidRequest if this side may not send it now."""
        message = envelopes.encode(frame)
        self.state = next_state(self.state, self.side, frame.type)
        if isinstance(frame, envelopes.Heartbeat):
            self.last_beat_at = now
        return message

    def receive(self, message: str | bytes, *, now: float) -> envelopes.Frame:
        """The frame in a message of theirs. Raises InvalidRequest or PayloadTooLarge; the link is then closed."""
        try:
            frame = envelopes.decode(message)
            self.state = next_state(self.state, self._other_side, frame.type)
        except errors.RopewayError:
            self.state = LinkState.CLOSED
            raise
        self.last_received_at = now
        return frame

    def is_overdue(self, *, now: float) -> bool:
        """Whether the handshake takes too long, or nothing came for so long that the other end must be gone."""
        if self.state is LinkState.OPEN:
            return now - self.last_received_at > limits.LINK_SILENCE_S
        return now - self.opened_at > limits.HANDSHAKE_S

    def heartbeat_due_at(self) -> float:
        """When the next heartbeat is owed, whatever else is sent: the cloud's record of a link lives by them."""
        return self.last_beat_at + limits.HEARTBEAT_S

    @property
    def _other_side(self) -> Side:
        return Side.CONNECTOR if self.side is Side.RELAY else Side.RELAY
