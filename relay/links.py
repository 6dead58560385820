"""One live link: calls out, answers and streams back, events in.

It owns the calls in flight on it, their streams, and the order in which what a connector says is recorded. Deliberately
free of sockets (`consumers` hands messages in) and of rows (`ports`). When it ends, calls without an answer stay on
record and are taken by the next link. Tests: tests/unit/relay/test_links.py.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local_daemon.protocol import envelopes, errors, limits, wire
from local_daemon.protocol.link import Link, LinkState
from relay import answering
from relay.calls import Answer, Call
from relay.pending import PendingCalls
from relay.ports import CallBook, EventSink, LinkBook, LinkGrant
from relay.streams import IncomingStream, OutgoingBody

RECORDS_WAITING_MAX = 100
"""Batches a connector may send ahead of what is recorded; it is closed when it goes beyond."""

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _InFlight:
    """A call this link carries now."""

    call: Call
    until: asyncio.TimerHandle
    body: OutgoingBody | None = None
    sending: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Everything a link records in."""

    links: LinkBook
    calls: CallBook
    events: EventSink


class LiveLink:
    """A connector that proved itself."""

    def __init__(
        self,
        *,
        grant: LinkGrant,
        wire_link: Link,
        write: Callable[[str | bytes], Awaitable[None]],
        hang_up: Callable[[errors.RopewayError], None],
        books: Books,
        pending: PendingCalls,
    ) -> None:
        """`write` sends one message; `hang_up` makes whoever owns the socket end this link, for the reason given."""
        self.grant = grant
        self._link = wire_link
        self._write = write
        self._hang_up = hang_up
        self._books = books
        self._pending = pending
        self._in_flight: dict[str, _InFlight] = {}
        self._incoming: dict[str, IncomingStream] = {}
        self._records: asyncio.Queue[envelopes.Advertise | envelopes.Events] = asyncio.Queue(RECORDS_WAITING_MAX)
        self._recording = asyncio.get_running_loop().create_task(self._record())
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._is_ended = False
        self._has_backlog = False

    # -- out

    async def deliver(self, call: Call) -> bool:
        """Hand a call to the machine. False: this link takes no more; the call waits for the next one."""
        if self._is_ended or self._is_draining:
            return False
        if call.call_id in self._in_flight:
            return True
        if len(self._in_flight) >= limits.CALLS_IN_FLIGHT:
            refused = errors.RateLimited(
                "This machine answers as many calls as it can.", retry_after_s=limits.RETRY_AFTER_S["rate_limited"]
            )
            await self._answered(call.call_id, Answer.refusal(refused))
            return True
        remaining_s = max(0.0, (call.deadline_at - datetime.now(UTC)).total_seconds())
        until = asyncio.get_running_loop().call_later(remaining_s, self._let_go, call.call_id)
        flight = self._in_flight[call.call_id] = _InFlight(call=call, until=until)
        await self._send_request(flight, deadline_ms=int(remaining_s * 1000))
        return True

    async def _send_request(self, flight: _InFlight, *, deadline_ms: int) -> None:
        call = flight.call
        head = None
        content = b"" if call.body is None else wire.canonical_json(call.body)
        if len(content) > limits.INLINE_ANSWER_BYTES:
            head = envelopes.StreamHead(media_type="application/json", size_bytes=len(content), is_body=True)
            flight.body = OutgoingBody(call.call_id, content, send=self.send)
        request = envelopes.Request(
            call_id=call.call_id,
            operation=call.operation,
            parameters=dict(call.parameters),
            query=dict(call.query),
            body=call.body if head is None else None,
            stream=head,
            deadline_ms=deadline_ms,
            actor=call.actor,
            traceparent=call.traceparent,
        )
        await self.send(request)
        if flight.body is not None:
            flight.sending = self._spawn(flight.body.send())

    async def send(self, frame: envelopes.Frame) -> None:
        """Send one frame; nothing happens on a link that has ended."""
        if not self._is_ended and self._link.state is LinkState.OPEN:
            await self._write(self._link.send(frame, now=asyncio.get_running_loop().time()))

    def take_soon(self) -> None:
        """Take what waits, in a task of this link: whoever wakes it has others to wake."""
        self._spawn(self.take())

    async def take(self) -> None:
        """Fetch the connector's waiting calls, as many as there is room for, and hand them over."""
        room = limits.CALLS_IN_FLIGHT - len(self._in_flight)
        if self._is_ended or self._is_draining or room <= 0:
            self._has_backlog = True
            return
        calls = await self._books.calls.take(self.grant, limit=room)
        self._has_backlog = len(calls) == room
        for call in calls:
            await self.deliver(call)

    # -- in

    async def receive(self, message: str | bytes) -> None:
        """One message of the connector. Raises InvalidRequest or PayloadTooLarge for what breaks the protocol."""
        frame = self._link.receive(message, now=asyncio.get_running_loop().time())
        match frame:
            case envelopes.Response():
                self._on_response(frame, is_json=answering.is_json(message))
            case envelopes.Events() if not answering.is_json(message):
                raise errors.InvalidRequest("malformed frame: a number is not finite")
            case envelopes.Chunk() | envelopes.End() | envelopes.Credit():
                self._on_stream(frame)
            case envelopes.Advertise() | envelopes.Events():
                try:
                    self._records.put_nowait(frame)
                except asyncio.QueueFull:
                    raise errors.RateLimited("More was sent than is acknowledged.") from None
            case envelopes.Goodbye():
                code = frame.code if frame.code in errors.TABLE else "for no reason that we know"
                self._hang_up(errors.ConnectorOffline(f"The connector said goodbye: {code}."))

    def _on_stream(self, frame: envelopes.Chunk | envelopes.End | envelopes.Credit) -> None:
        """A frame of a stream; one of a stream that is over is passed over."""
        if isinstance(frame, envelopes.Credit):
            flight = self._in_flight.get(frame.call_id)
            if flight is not None and flight.body is not None:
                flight.body.grant(frame.limit)
            return
        stream = self._incoming.get(frame.call_id)
        if stream is None:
            return
        if isinstance(frame, envelopes.Chunk):
            stream.feed(frame)
        else:
            stream.finish(frame)

    def _on_response(self, response: envelopes.Response, *, is_json: bool) -> None:
        call_id = response.call_id
        if call_id in self._incoming:
            raise errors.InvalidRequest("the answer to a call came twice", call_id=call_id)
        flight = self._let_go(call_id)
        answer = answering.answer_of(response, flight.call if flight else None, is_json=is_json)
        if answer is not None:
            self._spawn(self._answered(call_id, answer))
            return
        assert response.stream is not None
        stream = IncomingStream(call_id, response.stream, send=self.send, on_close=lambda: self._forget_stream(call_id))
        self._incoming[call_id] = stream
        self._spawn(self._answered_by_stream(response, stream, flight.call if flight else None))

    def _forget_stream(self, call_id: str) -> None:
        self._incoming.pop(call_id, None)

    async def _answered_by_stream(
        self, response: envelopes.Response, stream: IncomingStream, call: Call | None
    ) -> None:
        if not stream.head.is_body and self._pending.is_awaited(response.call_id):
            answer = Answer(status=response.status, content=stream)
        else:
            answer = await answering.answer_gathered(response, stream, call)
        if not await self._answered(response.call_id, answer) and answer.content is not None:
            await answer.content.aclose()

    async def _answered(self, call_id: str, answer: Answer) -> bool:
        """Record an answer, then tell who waits here; whether anybody does."""
        # What is not recorded is told nobody: a connector answers its own calls only, and each once.
        is_recorded = await self._books.calls.answer(self.grant, call_id, answer)
        is_told = is_recorded and self._pending.resolve(call_id, answer)
        if self._has_backlog:
            self._has_backlog = False
            self.take_soon()
        return is_told

    def _let_go(self, call_id: str) -> _InFlight | None:
        """The call does not occupy the link any more: answered, or its time is over."""
        flight = self._in_flight.pop(call_id, None)
        if flight is not None:
            flight.until.cancel()
            if flight.sending is not None:
                flight.sending.cancel()
        return flight

    async def _record(self) -> None:
        """Record what the connector says, in the order in which it said it."""
        while True:
            frame = await self._records.get()
            try:
                if isinstance(frame, envelopes.Advertise):
                    await self._on_advertise(frame)
                else:
                    await self._on_events(frame)
            except errors.PreconditionFailed as error:
                self._hang_up(error)
            except errors.RopewayError as error:
                # Not acknowledged, so it is not lost: the connector keeps it, and a person finds it here.
                logger.error("%s not recorded: %s", frame.type, error, extra=self._facts("link.not_recorded"))  # noqa: TRY400
            except Exception:
                logger.exception("Recording failed", extra=self._facts("link.recording_failed"))
                self._hang_up(errors.Internal())

    async def _on_advertise(self, advertised: envelopes.Advertise) -> None:
        wanted = await self._books.links.advertise(self.grant, advertised)
        self._is_draining = advertised.is_draining
        for position in wanted:
            after_hash = position.after_hash if advertised.takes_after_hash else None
            await self._follow(position.repository_id, position.log_id, position.after_seq, after_hash)
        await self.take()

    async def _on_events(self, batch: envelopes.Events) -> None:
        applied = await self._books.events.apply(
            self.grant, repository_id=batch.repository_id, log_id=batch.log_id, records=batch.records
        )
        if applied.has_gap:
            await self._follow(batch.repository_id, batch.log_id, applied.seq)
        else:
            await self.send(envelopes.Ack(repository_id=batch.repository_id, log_id=batch.log_id, seq=applied.seq))

    async def _follow(self, repository_id: str, log_id: str, after_seq: int, after_hash: str | None = None) -> None:
        await self.send(
            envelopes.Follow(repository_id=repository_id, log_id=log_id, after_seq=after_seq, after_hash=after_hash)
        )

    # -- life

    async def beat(self) -> None:
        """Say that we are here, and note that the connector is, until it was silent for so long that it must be gone.

        Whatever it sends is a sign of life: a busy connector sends no heartbeats."""
        loop = asyncio.get_running_loop()
        while not self._link.is_overdue(now=loop.time()):
            heard_at = self._link.last_received_at
            await asyncio.sleep(limits.HEARTBEAT_S)
            await self.send(envelopes.Heartbeat())
            if self._link.last_received_at > heard_at:
                self._spawn(self._note_presence())

    async def _note_presence(self) -> None:
        if not await self._books.links.heartbeat(self.grant):
            self._hang_up(errors.PreconditionFailed("Another link of this connector is the live one now."))

    def hang_up(self, reason: errors.RopewayError) -> None:
        """Have the connection closed for this reason, which ends the link."""
        self._hang_up(reason)

    async def end(self, reason: errors.RopewayError) -> None:
        """Say goodbye where that is still possible, and let go of everything; answers that arrived are still
        recorded."""
        if self._is_ended:
            return
        self._is_ended = True
        # Past the link's own rules: it may be closed for breaking them, and its connector should learn why.
        await self._write(envelopes.encode(envelopes.Goodbye(code=reason.code, detail=reason.detail)))
        self._recording.cancel()
        for call_id in list(self._in_flight):
            self._let_go(call_id)
        for stream in list(self._incoming.values()):
            stream.fail(errors.ConnectorOffline("The connection to the machine was lost."))
        await asyncio.gather(self._recording, *self._tasks, return_exceptions=True)

    def _spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._guarded(coroutine))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """The outermost frame of each task: what fails is told, and the link goes on."""
        try:
            await coroutine
        except Exception:
            logger.exception("A task of a link failed", extra=self._facts("link.task_failed"))

    def _facts(self, event: str) -> dict[str, Any]:
        return {"event": event, "connector_id": self.grant.connector_id, "epoch": self.grant.epoch}
