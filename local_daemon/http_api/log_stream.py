"""An attempt's output as server-sent events: what there is, then what comes, then `end`.

Reads the log through its operation and waits on the file that grows and on the commits that touch the step, so nothing
is polled and a log is followed exactly as far as it can be read. The id of each event is `<attempt>:<offset>`, for
`Last-Event-ID`. Called by `app`. Tests: tests/integration/daemon/test_log_stream.py.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

from local_daemon.http_api import event_stream
from local_daemon.http_api.requests import Receive, Send
from local_daemon.operations import registry
from local_daemon.operations.context import OperationContext
from local_daemon.processes import growth
from local_daemon.protocol import errors, ids, messages, states
from local_daemon.protocol.operations import OPERATIONS

_POSITION = re.compile(rf"({ids.pattern_for(ids.IdPrefix.ATTEMPT).strip('^$')}):([0-9]{{1,18}})")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPosition:
    """As far as a follower has read: an attempt's output and an offset in it. Without an attempt, the newest's."""

    attempt_id: str | None = None
    offset: int = 0


def position_parse(last_event_id: str | None, query: messages.LogQuery) -> LogPosition:
    """Where to go on: after the last event that was seen, else where the query says. Raises InvalidRequest."""
    if last_event_id is None:
        return LogPosition(attempt_id=query.attempt_id, offset=query.offset)
    match = _POSITION.fullmatch(last_event_id)
    if match is None:
        raise errors.InvalidRequest("Last-Event-ID: not a position in a log")
    return LogPosition(attempt_id=match.group(1), offset=int(match.group(2)))


async def log_send(
    send: Send,
    receive: Receive,
    context: OperationContext,
    parameters: Mapping[str, str],
    query: messages.LogQuery,
    position: LogPosition,
    *,
    stopping: event_stream.Stopping,
) -> None:
    """The output of one attempt, or of the newest and each that follows it, until the step has settled. Raises
    NotFound, RangeInvalid before anything is sent."""
    await _chunk(context, parameters, query, position)
    pieces = _pieces(context, parameters, query, position)
    await event_stream.stream_send(send, receive, pieces, media_type="text/event-stream", stopping=stopping)


async def _pieces(
    context: OperationContext, parameters: Mapping[str, str], query: messages.LogQuery, position: LogPosition
) -> AsyncIterator[bytes]:
    yield b": following\n\n"
    at, is_settled = position, False
    with _Watch(context, query.stream, topic=parameters["step_id"]) as watch:
        while True:
            mark = watch.mark(at.attempt_id)
            chunk = await _chunk(context, parameters, query, at)
            if chunk.text:
                yield _event("chunk", chunk, event_id=f"{chunk.attempt_id}:{chunk.next_offset}")
                is_watched = at.attempt_id is not None
                at = LogPosition(attempt_id=chunk.attempt_id, offset=chunk.next_offset)
                if chunk.is_complete or chunk.next_offset < chunk.size_bytes or not is_watched:
                    continue
            elif at.attempt_id is None and chunk.attempt_id is not None:
                at = LogPosition(attempt_id=chunk.attempt_id, offset=at.offset)
                continue
            else:
                if chunk.is_complete and query.attempt_id is None:
                    newest = await _chunk(context, parameters, query, LogPosition())
                    if newest.attempt_id != chunk.attempt_id:
                        at = LogPosition(attempt_id=newest.attempt_id)
                        continue
                if is_settled or (chunk.is_complete and query.attempt_id is not None):
                    yield _event("end", chunk)
                    return
                is_settled = await _is_settled(context, parameters)
                if is_settled:
                    continue  # What was said last may have come in between.
            if not await watch.change_await(mark):
                yield b": still here\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    committed: int
    grown: int


class _Watch:
    """What wakes one follower: a commit that touches the step, or the growth of the one output it reads."""

    def __init__(self, context: OperationContext, stream: str, *, topic: str) -> None:
        self._context = context
        self._stream = stream
        self._topic = topic
        self._attempt_id: str | None = None
        self._following: growth.Growing | None = None
        self._committed: asyncio.Future[bool] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        if self._committed is not None:
            self._committed.cancel()

    def mark(self, attempt_id: str | None) -> _Mark:
        """Where things stand, to be taken before the log of this attempt is read."""
        committed = self._context.database.wake.mark
        if attempt_id is not None and (attempt_id != self._attempt_id or self._following is None):
            self._stack.close()
            followed = self._context.live_logs.followed(ids.AttemptId(attempt_id), self._stream)
            self._attempt_id, self._following = attempt_id, self._stack.enter_context(followed)
        return _Mark(committed=committed, grown=0 if self._following is None else self._following.mark)

    async def change_await(self, after: _Mark) -> bool:
        """Wait for either; False when it is time to say that the stream is alive."""
        # Kept until it is done, however often the output grows meanwhile: it may wake once too often, never too late.
        self._committed = self._committed or asyncio.ensure_future(
            event_stream.change_await(self._context.database.wake, after=after.committed, topic=self._topic)
        )
        waiting: set[asyncio.Future[Any]] = {self._committed}
        if self._following is not None:
            waiting.add(self._following.grown(after=after.grown))
        done, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in left - {self._committed}:
            each.cancel()
        if self._committed not in done:
            return True
        committed, self._committed = self._committed.result(), None
        return committed


async def _is_settled(context: OperationContext, parameters: Mapping[str, str]) -> bool:
    step = await registry.call_operation(
        context, OPERATIONS["steps.get"], parameters=parameters, query=None, body=None, call_id=None, actor=""
    )
    assert isinstance(step, messages.StepView)
    return step.state in states.STEP_SETTLED


async def _chunk(
    context: OperationContext, parameters: Mapping[str, str], query: messages.LogQuery, at: LogPosition
) -> messages.LogChunk:
    chunk = await registry.call_operation(
        context,
        OPERATIONS["steps.log"],
        parameters=parameters,
        query=query.model_copy(update={"attempt_id": at.attempt_id, "offset": at.offset, "wait_s": 0}),
        body=None,
        call_id=None,
        actor="",
    )
    assert isinstance(chunk, messages.LogChunk)
    return chunk


def _event(name: str, chunk: messages.LogChunk, *, event_id: str | None = None) -> bytes:
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}event: {name}\ndata: {chunk.model_dump_json()}\n\n".encode()
