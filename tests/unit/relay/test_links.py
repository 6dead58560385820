"""One link at its frames: what a connector says, what is recorded of it, and what ends it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_daemon.protocol import envelopes, errors, limits
from local_daemon.protocol.link import Link, LinkState, Side
from relay.calls import Answer, Call
from relay.links import Books, LiveLink
from relay.pending import PendingCalls
from relay.ports import Applied, LinkGrant

CALL_ID = "call_" + "0" * 26
OTHER_ID = "call_" + "1" * 26


@dataclass(slots=True)
class Recorder:
    """The link's books: what was asked of them, and answers only to the connector's own calls."""

    own: set[str] = field(default_factory=lambda: {CALL_ID})
    answered: asyncio.Queue[tuple[str, Answer]] = field(default_factory=asyncio.Queue)
    batches: int = 0

    async def answer(self, _grant: LinkGrant, call_id: str, answer: Answer) -> bool:
        is_own = call_id in self.own
        self.own.discard(call_id)
        self.answered.put_nowait((call_id, answer))
        return is_own

    async def take(self, _grant: LinkGrant, *, limit: int) -> list[Call]:
        assert limit
        return []

    async def apply(self, _grant: LinkGrant, **_facts: Any) -> Applied:
        self.batches += 1
        return Applied(seq=1, has_gap=False)


@dataclass(slots=True)
class Opened:
    """A link that was opened, and everything around it."""

    link: LiveLink
    books: Recorder
    pending: PendingCalls
    sent: asyncio.Queue[envelopes.Frame]
    reasons: list[errors.RopewayError]

    async def say(self, frame: envelopes.Frame) -> None:
        await self.link.receive(envelopes.encode(frame))

    async def answer(self) -> tuple[str, Answer]:
        async with asyncio.timeout(5):
            return await self.books.answered.get()

    async def written(self, kind: type[envelopes.Frame]) -> None:
        """Wait until the relay sends such a frame."""
        async with asyncio.timeout(5):
            while not isinstance(await self.sent.get(), kind):
                continue


@asynccontextmanager
async def opened() -> AsyncIterator[Opened]:
    sent: asyncio.Queue[envelopes.Frame] = asyncio.Queue()
    reasons: list[errors.RopewayError] = []
    books, pending = Recorder(), PendingCalls()

    async def write(message: str | bytes) -> None:
        sent.put_nowait(envelopes.decode(message))

    wire_link = Link(side=Side.RELAY, opened_at=asyncio.get_running_loop().time())
    wire_link.state = LinkState.OPEN
    link = LiveLink(
        grant=LinkGrant(connector_id="c", organization_id="o", label="builder", epoch=1),
        wire_link=wire_link,
        write=write,
        hang_up=reasons.append,
        books=Books(links=books, calls=books, events=books),  # type: ignore[arg-type]
        pending=pending,
    )
    yield Opened(link, books, pending, sent, reasons)
    await link.end(errors.ConnectorOffline())


def call(operation: str = "runs.get") -> Call:
    return Call(
        call_id=CALL_ID, operation=operation, parameters={}, query={}, body=None,
        deadline_at=datetime.now(UTC) + timedelta(seconds=30), actor="token:x",
    )  # fmt: skip


def chunk(offset: int, payload: bytes) -> envelopes.Chunk:
    return envelopes.Chunk(call_id=CALL_ID, offset=offset, payload=payload)


CONTENT = envelopes.StreamHead(media_type="text/plain")


async def test_an_answer_to_a_call_of_another_reaches_nobody() -> None:
    async with opened() as at:
        with at.pending.expect(OTHER_ID) as waiter:
            await at.say(envelopes.Response(call_id=OTHER_ID, status=200, body={}))
            assert (await at.answer())[0] == OTHER_ID
            await at.say(envelopes.Response(call_id=OTHER_ID, status=200, stream=CONTENT))
            assert (await at.answer())[0] == OTHER_ID
            assert not waiter.done()
        assert at.reasons == []


async def test_content_for_a_call_of_another_is_not_taken() -> None:
    async with opened() as at:
        with at.pending.expect(OTHER_ID):
            await at.say(envelopes.Response(call_id=OTHER_ID, status=200, stream=CONTENT))
            await at.answer()
            await at.written(envelopes.Cancel)


async def test_a_second_answer_to_a_stream_breaks_the_protocol() -> None:
    async with opened() as at:
        await at.link.deliver(call("artifacts.content"))
        with at.pending.expect(CALL_ID):
            await at.say(envelopes.Response(call_id=CALL_ID, status=200, stream=CONTENT))
            with pytest.raises(errors.InvalidRequest):
                await at.say(envelopes.Response(call_id=CALL_ID, status=200, stream=CONTENT))


@pytest.mark.parametrize(
    "frames",
    [
        [chunk(1, b"x")],
        [chunk(0, b"x"), chunk(0, b"x")],
        [chunk(n * limits.CHUNK_BYTES, b"x" * limits.CHUNK_BYTES) for n in range(9)],
    ],
    ids=["ahead", "again", "beyond its credit"],
)
async def test_bytes_out_of_order_or_credit_break_the_protocol(frames: list[envelopes.Chunk]) -> None:
    async with opened() as at:
        await at.link.deliver(call("artifacts.content"))
        with at.pending.expect(CALL_ID):
            await at.say(envelopes.Response(call_id=CALL_ID, status=200, stream=CONTENT))
            with pytest.raises(errors.InvalidRequest):
                for frame in frames:
                    await at.say(frame)


async def test_more_bytes_than_the_head_said_break_the_protocol() -> None:
    """An HTTP answer was begun with that length."""
    async with opened() as at:
        await at.link.deliver(call("artifacts.content"))
        with at.pending.expect(CALL_ID):
            head = envelopes.StreamHead(media_type="text/plain", size_bytes=3)
            await at.say(envelopes.Response(call_id=CALL_ID, status=200, stream=head))
            with pytest.raises(errors.InvalidRequest):
                await at.say(chunk(0, b"four"))


async def test_fewer_bytes_than_the_head_said_are_an_error_to_the_reader() -> None:
    async with opened() as at:
        await at.link.deliver(call("artifacts.content"))
        with at.pending.expect(CALL_ID) as waiter:
            head = envelopes.StreamHead(media_type="text/plain", size_bytes=3)
            await at.say(envelopes.Response(call_id=CALL_ID, status=200, stream=head))
            sender = envelopes.StreamSender(call_id=CALL_ID)
            await at.say(sender.chunk(b"x"))
            await at.say(sender.end())
            content = (await waiter).content
            assert content is not None
            with pytest.raises(errors.InvalidRequest):
                await content.read(max_bytes=10)


async def test_content_that_stops_coming_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CALL_DEADLINE_S_MAX", 0.01)
    async with opened() as at:
        await at.link.deliver(call("artifacts.content"))
        with at.pending.expect(CALL_ID) as waiter:
            await at.say(envelopes.Response(call_id=CALL_ID, status=200, stream=CONTENT))
            content = (await waiter).content
            assert content is not None
            with pytest.raises(errors.DeadlineExceeded):
                await content.read(max_bytes=10)
        await at.written(envelopes.Cancel)


async def test_bytes_of_a_stream_that_is_none_are_passed_over() -> None:
    async with opened() as at:
        await at.say(chunk(7, b"x"))
        await at.say(envelopes.Credit(call_id=OTHER_ID, limit=5))
        await at.say(envelopes.End(call_id=OTHER_ID, size_bytes=0, sha256="0" * 64))
        assert at.reasons == []


async def test_an_event_that_is_not_json_breaks_the_protocol() -> None:
    record = {
        "seq": 1, "type": "run.changed", "at": "2026-11-21T00:00:00Z", "data": {"x": "NAN"},
        "prev_hash": "0" * 64, "hash": "0" * 64,
    }  # fmt: skip
    batch = {
        "type": "events", "repository_id": "repo_" + "0" * 26, "log_id": "log_" + "0" * 26, "records": [record],
    }  # fmt: skip
    async with opened() as at:
        with pytest.raises(errors.InvalidRequest):
            await at.link.receive(json.dumps(batch).replace('"NAN"', "NaN"))
        assert at.books.batches == 0


@pytest.mark.parametrize(
    "frame",
    [
        envelopes.Hello(versions=(1,), nonce="AAAA", audience="x"),
        envelopes.Cancel(call_id=CALL_ID),
        envelopes.Ack(repository_id="repo_" + "0" * 26, log_id="log_" + "0" * 26, seq=1),
        envelopes.Request(call_id=CALL_ID, operation="runs.get", parameters={}, deadline_ms=1),
    ],
    ids=lambda frame: frame.type,
)
async def test_a_frame_that_only_a_relay_sends_breaks_the_protocol(frame: envelopes.Frame) -> None:
    async with opened() as at:
        with pytest.raises(errors.InvalidRequest):
            await at.say(frame)


async def test_a_goodbye_is_told_in_our_words() -> None:
    async with opened() as at:
        await at.say(envelopes.Goodbye(code="a\x00code", detail=""))
        assert [reason.code for reason in at.reasons] == ["connector_offline"]
        assert "\x00" not in at.reasons[0].detail


@given(message=st.text(max_size=200) | st.binary(max_size=200))
async def test_whatever_comes_is_a_frame_or_an_error_of_the_table(message: str | bytes) -> None:
    async with opened() as at:
        try:
            await at.link.receive(message)
        except errors.RopewayError as error:
            assert error.code in ("invalid_request", "payload_too_large")
