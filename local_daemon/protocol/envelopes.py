"""How one call, its answer and their streams travel: envelopes, frames and flow control.

A frame is one websocket message: JSON text for control, a small binary form for bytes. Flow control is by credit: a
sender never runs further ahead of the receiver than the offset it was granted. Cloud and machines are not brought up to
date at one moment: what a newer side adds to a frame is passed over by an older one, and what it must not be without is
another `PROTOCOL_VERSION`. Pure bookkeeping, no sockets and no clock. The order of frames is `link`'s affair. Tests:
tests/unit/daemon/protocol/test_envelopes.py.
"""

import hashlib
import struct
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from local_daemon.protocol import errors, events, faults, ids, limits, wire

CallIdText = Annotated[str, StringConstraints(pattern=ids.pattern_for(ids.IdPrefix.CALL))]
RepositoryIdText = Annotated[str, StringConstraints(pattern=ids.pattern_for(ids.IdPrefix.REPOSITORY))]
LogIdText = Annotated[str, StringConstraints(pattern=ids.pattern_for(ids.IdPrefix.LOG))]
Label = Annotated[str, StringConstraints(max_length=limits.TITLE_CHARACTERS)]
Base64 = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{1,200}={0,2}$")]


class StreamHead(wire.ViewModel):
    """Bytes follow in chunks. `size_bytes` and `sha256` are of exactly what is streamed; None: told at the end.
    `is_body` marks a JSON body too large for its frame rather than content."""

    media_type: Label
    size_bytes: wire.Position | None = None
    sha256: wire.Sha256 | None = None
    offset: wire.Position = 0
    total_bytes: wire.Position | None = None
    is_body: wire.Flag = False


class Hello(wire.ViewModel):
    """Relay, first: which versions it speaks, a nonce to sign, and the name it must be signed for."""

    type: Literal["hello"] = "hello"
    versions: tuple[wire.Integer, ...]
    nonce: Base64
    audience: Label


class Proof(wire.ViewModel):
    """Connector: who it is, proven with its key over both nonces and the audience."""

    type: Literal["proof"] = "proof"
    version: wire.Integer
    connector_id: Label
    nonce: Base64
    signature: Base64
    software: Label = ""


class Welcome(wire.ViewModel):
    """Relay: the link is open; `epoch` tells it from every link this connector had before."""

    type: Literal["welcome"] = "welcome"
    epoch: wire.Integer
    heartbeat_s: wire.Number
    silence_s: wire.Number


class RepositoryAdvert(wire.ViewModel):
    """A shared repository and where its log stands."""

    repository_id: RepositoryIdText
    label: Label
    log_id: LogIdText
    head_seq: wire.Position
    head_hash: wire.Sha256
    default_branch: Label | None = None


class Advertise(wire.ViewModel):
    """Connector: the whole set of what is shared now; what is absent is not shared any more."""

    type: Literal["advertise"] = "advertise"
    instance_id: Annotated[str, StringConstraints(pattern=ids.pattern_for(ids.IdPrefix.INSTANCE))]
    instance_version: Label
    hostname: Label
    platform: Label = ""
    executors: tuple[Label, ...] = Field(default=(), max_length=limits.LIST_ITEMS)
    repositories: tuple[RepositoryAdvert, ...] = Field(default=(), max_length=500)
    is_draining: wire.Flag = False
    takes_after_hash: wire.Flag = False
    """That it knows `Follow.after_hash`: the first connectors refuse a frame for a field that they don't know."""


class Request(wire.ViewModel):
    """Relay: one call. The body is inline, or follows as a stream. `deadline_ms` is what is left of its time."""

    type: Literal["request"] = "request"
    call_id: CallIdText
    operation: Label
    parameters: dict[str, str] = Field(max_length=8)
    query: dict[str, Any] = Field(default_factory=dict, max_length=20)
    body: Any = None
    stream: StreamHead | None = None
    deadline_ms: wire.Integer = Field(ge=0, le=limits.SEQ_MAX)
    actor: Label = ""
    traceparent: Label | None = None


class Response(wire.ViewModel):
    """Connector: the answer to one call: a body, a problem, or the head of a stream."""

    type: Literal["response"] = "response"
    call_id: CallIdText
    status: wire.Integer = Field(ge=100, le=599)
    body: Any = None
    problem: dict[str, Any] | None = None
    stream: StreamHead | None = None


class Credit(wire.ViewModel):
    """The receiver of a stream: send up to this offset, counted from the stream's first byte."""

    type: Literal["credit"] = "credit"
    call_id: CallIdText
    limit: wire.Position


class End(wire.ViewModel):
    """The sender of a stream: that was all; or, with a problem, that was all there could be."""

    type: Literal["end"] = "end"
    call_id: CallIdText
    size_bytes: wire.Position
    sha256: wire.Sha256
    problem: dict[str, Any] | None = None


class Cancel(wire.ViewModel):
    """Relay: nobody waits for this call any more; stop sending. What was executed stays executed."""

    type: Literal["cancel"] = "cancel"
    call_id: CallIdText


class Follow(wire.ViewModel):
    """Relay: send the events of this log after `after_seq`; also how a gap is asked for again. `after_hash` is the hash
    of the event there, as the cloud took it in: a log that has another one there, or none, is not the same any more."""

    type: Literal["follow"] = "follow"
    repository_id: RepositoryIdText
    log_id: LogIdText
    after_seq: wire.Position
    after_hash: wire.Sha256 | None = None


class Events(wire.ViewModel):
    """Connector: the next events of one log, in order."""

    type: Literal["events"] = "events"
    repository_id: RepositoryIdText
    log_id: LogIdText
    records: tuple[events.EventRecord, ...] = Field(min_length=1, max_length=limits.EVENTS_PER_BATCH)


class Ack(wire.ViewModel):
    """Relay: everything up to `seq` is durable in the cloud."""

    type: Literal["ack"] = "ack"
    repository_id: RepositoryIdText
    log_id: LogIdText
    seq: wire.Position


class Heartbeat(wire.ViewModel):
    """Either side: I am here."""

    type: Literal["heartbeat"] = "heartbeat"


class Goodbye(wire.ViewModel):
    """Either side, last: why the link closes. The code is one of the error table."""

    type: Literal["goodbye"] = "goodbye"
    code: Label
    detail: wire.Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The next bytes of a call's stream; `offset` counts from the stream's first byte."""

    call_id: str
    offset: int
    payload: bytes
    type: Literal["chunk"] = "chunk"


Control = (
    Hello | Proof | Welcome | Advertise | Request | Response | Credit | End | Cancel | Follow | Events | Ack
    | Heartbeat | Goodbye
)  # fmt: skip
Frame = Control | Chunk

_CONTROL: TypeAdapter[Control] = TypeAdapter(
    Annotated[Control, Field(discriminator="type")], config=ConfigDict(defer_build=True)
)
_CHUNK_HEAD = struct.Struct(">B31sQ")
_CHUNK_KIND = 1


def encode(frame: Frame) -> str | bytes:
    """The message a frame travels as. Raises PayloadTooLarge over `limits.FRAME_BYTES`."""
    message: str | bytes
    if isinstance(frame, Chunk):
        message = _CHUNK_HEAD.pack(_CHUNK_KIND, frame.call_id.encode("ascii"), frame.offset) + frame.payload
        size = len(message)
    else:
        message = frame.model_dump_json(exclude_defaults=False, exclude_none=True)
        size = len(message.encode())
    if size > limits.FRAME_BYTES:
        raise errors.PayloadTooLarge(f"frame {frame.type} of {size} bytes", limit=limits.FRAME_BYTES)
    return message


def decode(message: str | bytes) -> Frame:
    """The frame in a message. Raises PayloadTooLarge before parsing, InvalidRequest for anything malformed."""
    if len(message) > limits.FRAME_BYTES:
        raise errors.PayloadTooLarge(limit=limits.FRAME_BYTES)
    if isinstance(message, bytes):
        return _decode_chunk(message)
    try:
        return _CONTROL.validate_json(message)
    except ValidationError as error:
        raise errors.InvalidRequest("malformed frame", errors=faults.field_faults(error)) from None


def _decode_chunk(message: bytes) -> Chunk:
    if len(message) < _CHUNK_HEAD.size:
        raise errors.InvalidRequest("malformed chunk")
    kind, raw_id, offset = _CHUNK_HEAD.unpack_from(message)
    call_id = raw_id.decode("ascii", errors="replace")
    if kind != _CHUNK_KIND or not ids.is_id(ids.IdPrefix.CALL, call_id):
        raise errors.InvalidRequest("malformed chunk")
    return Chunk(call_id=call_id, offset=offset, payload=message[_CHUNK_HEAD.size :])


@dataclass(slots=True, kw_only=True)
class StreamSender:
    """The sending end of one stream: hands out chunks within the credit, then the end."""

    call_id: str
    offset: int = 0
    limit: int = limits.STREAM_WINDOW_BYTES
    _digest: Any = field(default_factory=hashlib.sha256)

    @property
    def allowance(self) -> int:
        """How many bytes may go out now, at most one chunk's worth."""
        return max(0, min(self.limit - self.offset, limits.CHUNK_BYTES))

    def chunk(self, payload: bytes) -> Chunk:
        """The frame for the next bytes. Raises ValueError beyond the allowance: a defect of the caller."""
        if len(payload) > self.allowance:
            raise ValueError("a chunk beyond the credit")
        frame = Chunk(call_id=self.call_id, offset=self.offset, payload=payload)
        self.offset += len(payload)
        self._digest.update(payload)
        return frame

    def grant(self, limit: int) -> None:
        """Credit came in; an older, lower one changes nothing."""
        self.limit = max(self.limit, limit)

    def end(self, problem: dict[str, Any] | None = None) -> End:
        """The frame that ends the stream."""
        return End(call_id=self.call_id, size_bytes=self.offset, sha256=self._digest.hexdigest(), problem=problem)


@dataclass(slots=True, kw_only=True)
class StreamReceiver:
    """The receiving end of one stream: checks order, window, size and digest, and says when to grant more."""

    call_id: str
    head: StreamHead
    max_bytes: int | None = None
    received: int = 0
    consumed: int = 0
    granted: int = limits.STREAM_WINDOW_BYTES
    _digest: Any = field(default_factory=hashlib.sha256)

    def feed(self, chunk: Chunk) -> bytes:
        """The chunk's bytes, checked. Raises InvalidRequest out of order or beyond the credit, PayloadTooLarge
        over `max_bytes`."""
        if chunk.offset != self.received:
            raise errors.InvalidRequest("stream out of order", expected_offset=self.received)
        self.received += len(chunk.payload)
        if self.received > self.granted:
            raise errors.InvalidRequest("stream beyond its credit")
        if self.max_bytes is not None and self.received > self.max_bytes:
            raise errors.PayloadTooLarge(limit=self.max_bytes)
        self._digest.update(chunk.payload)
        return chunk.payload

    def consume(self, size: int) -> Credit | None:
        """Tell that `size` bytes were taken in; answers the credit to send once half of the window is free."""
        self.consumed += size
        if self.granted - self.consumed > limits.STREAM_WINDOW_BYTES // 2:
            return None
        self.granted = self.consumed + limits.STREAM_WINDOW_BYTES
        return Credit(call_id=self.call_id, limit=self.granted)

    def finish(self, end: End) -> None:
        """Check the end against what came. Raises the sender's problem, or InvalidRequest if bytes are wrong."""
        if end.problem is not None:
            raise errors.from_problem(end.problem)
        if end.size_bytes != self.received or end.sha256 != self._digest.hexdigest():
            raise errors.InvalidRequest("stream incomplete or damaged", received_bytes=self.received)
        if self.head.sha256 is not None and self.head.sha256 != end.sha256:
            raise errors.InvalidRequest("stream is not what its head said")
