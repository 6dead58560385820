"""An attempt's output as server-sent events: what there is, then what comes, then `end`.

Reads the log through its operation and waits on the commits that touch the step, so nothing is polled and a log is
followed exactly as far as it can be read. The id of each event is `<attempt>:<offset>`, for `Last-Event-ID`. Called by
`app`. Tests: tests/integration/daemon/test_log_stream.py.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from local_daemon.http_api import event_stream
from local_daemon.http_api.requests import Receive, Send
from local_daemon.operations import registry
from local_daemon.operations.context import OperationContext
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
    at = position
    wake = context.database.wake
    while True:
        mark = wake.mark
        is_settled = await _is_settled(context, parameters)
        chunk = await _chunk(context, parameters, query, at)
        if chunk.text:
            at = LogPosition(attempt_id=chunk.attempt_id, offset=chunk.next_offset)
            yield _event("chunk", chunk, event_id=f"{chunk.attempt_id}:{chunk.next_offset}")
            continue
        if chunk.is_complete and query.attempt_id is None:
            newest = await _chunk(context, parameters, query, LogPosition())
            if newest.attempt_id != chunk.attempt_id:
                at = LogPosition(attempt_id=newest.attempt_id)
                continue
        if is_settled or (chunk.is_complete and query.attempt_id is not None):
            yield _event("end", chunk)
            return
        if not await event_stream.change_await(wake, after=mark, topic=parameters["step_id"]):
            yield b": still here\n\n"


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
        query=query.model_copy(update={"attempt_id": at.attempt_id, "offset": at.offset}),
        body=None,
        call_id=None,
        actor="",
    )
    assert isinstance(chunk, messages.LogChunk)
    return chunk


def _event(name: str, chunk: messages.LogChunk, *, event_id: str | None = None) -> bytes:
    head = "" if event_id is None else f"id: {event_id}\n"
    data = json.dumps(chunk.model_dump(mode="json"), separators=(",", ":"))
    return f"{head}event: {name}\ndata: {data}\n\n".encode()
