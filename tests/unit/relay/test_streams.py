"""Streams keep to their credit, and whoever reads learns when something is missing."""

import asyncio
import hashlib

import pytest

from local_daemon.protocol import envelopes, errors, ids, limits
from local_daemon.protocol.ids import IdPrefix
from relay.streams import IncomingStream, OutgoingBody

CALL = ids.new_id(IdPrefix.CALL)
HEAD = envelopes.StreamHead(media_type="text/plain")


class Wire:
    """What was sent."""

    def __init__(self) -> None:
        self.frames: list[envelopes.Frame] = []
        self.sent = asyncio.Event()

    async def send(self, frame: envelopes.Frame) -> None:
        self.frames.append(frame)
        self.sent.set()


def incoming(wire: Wire) -> IncomingStream:
    return IncomingStream(CALL, HEAD, send=wire.send, on_close=lambda: None)


async def test_what_comes_is_read_in_order_and_credit_is_granted_as_it_is_taken() -> None:
    wire = Wire()
    stream = incoming(wire)
    sender = envelopes.StreamSender(call_id=CALL)
    content = bytes(range(256)) * (limits.STREAM_WINDOW_BYTES // 256)
    while sender.allowance:
        stream.feed(sender.chunk(content[sender.offset : sender.offset + sender.allowance]))
    stream.finish(sender.end())
    assert wire.frames == []
    assert await stream.read(max_bytes=len(content)) == content


async def test_credit_follows_the_reader() -> None:
    wire = Wire()
    stream = incoming(wire)
    sender = envelopes.StreamSender(call_id=CALL)
    while sender.allowance:
        stream.feed(sender.chunk(b"x" * sender.allowance))
    async for _ in stream:
        if wire.frames:
            break
    (credit,) = wire.frames
    assert isinstance(credit, envelopes.Credit)
    assert credit.limit > limits.STREAM_WINDOW_BYTES


async def test_bytes_beyond_the_credit_break_the_protocol() -> None:
    stream = incoming(Wire())
    sender = envelopes.StreamSender(call_id=CALL, limit=10 * limits.STREAM_WINDOW_BYTES)
    with pytest.raises(errors.InvalidRequest):
        for _ in range(limits.STREAM_WINDOW_BYTES // limits.CHUNK_BYTES + 1):
            stream.feed(sender.chunk(b"x" * limits.CHUNK_BYTES))


async def test_a_damaged_stream_ends_in_an_error() -> None:
    stream = incoming(Wire())
    stream.feed(envelopes.StreamSender(call_id=CALL).chunk(b"abc"))
    stream.finish(envelopes.End(call_id=CALL, size_bytes=3, sha256=hashlib.sha256(b"abd").hexdigest()))
    with pytest.raises(errors.InvalidRequest):
        await stream.read(max_bytes=10)


async def test_who_reads_no_further_makes_the_machine_stop() -> None:
    wire = Wire()
    stream = incoming(wire)
    stream.feed(envelopes.StreamSender(call_id=CALL).chunk(b"x" * 100))
    with pytest.raises(errors.PayloadTooLarge):
        await stream.read(max_bytes=10)
    assert wire.frames == [envelopes.Cancel(call_id=CALL)]


async def test_a_lost_link_reaches_the_reader() -> None:
    stream = incoming(Wire())
    stream.fail(errors.ConnectorOffline())
    with pytest.raises(errors.ConnectorOffline):
        await stream.read(max_bytes=10)


async def test_a_body_waits_for_credit() -> None:
    wire = Wire()
    content = b"x" * (limits.STREAM_WINDOW_BYTES + 10)
    body = OutgoingBody(CALL, content, send=wire.send)
    sending = asyncio.create_task(body.send())
    async with asyncio.timeout(5):
        while (
            sum(len(frame.payload) for frame in wire.frames if isinstance(frame, envelopes.Chunk)) < len(content) - 10
        ):
            wire.sent.clear()
            await wire.sent.wait()
    assert not sending.done()
    body.grant(len(content))
    await sending
    assert isinstance(wire.frames[-1], envelopes.End)
    assert b"".join(frame.payload for frame in wire.frames if isinstance(frame, envelopes.Chunk)) == content
