"""One request of the relay, carried to the daemon and back. Forwards what the table and the shares allow, reads nothing
into it.

Deliberately validates no body (the daemon does) and remembers nothing (the daemon does). Called by `serving`, a task
for each call. Tests: tests/integration/connector/test_serving.py.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from connector_agent.daemon_client import DaemonAnswer, DaemonClient
from local_daemon.protocol import envelopes, errors, failpoints, limits, tracing
from local_daemon.protocol.operation import Operation, invalid_parameters
from local_daemon.protocol.operations import REMOTE_OPERATIONS

_CONTENT_RANGE = re.compile(r"^bytes (\d+)-\d+/(\d+)$")
_ETAG = re.compile(r'^"([0-9a-f]{64})"$')

SendFrame = Callable[[envelopes.Frame], Awaitable[None]]
BodyReader = Callable[[envelopes.StreamHead], Awaitable[bytes]]
SendStream = Callable[[envelopes.Response, AsyncIterator[bytes]], Awaitable[None]]
Refuse = Callable[[str, errors.RopewayError], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarder:
    """What carrying calls needs: the daemon, what is shared now, and the ways back."""

    daemon: DaemonClient
    is_shared: Callable[[str], bool]
    send: SendFrame
    send_stream: SendStream
    refuse: Refuse

    async def forward(self, request: envelopes.Request, read_body: BodyReader) -> None:
        """Answer one request, whatever becomes of it. Raises LinkLost only."""
        try:
            async with asyncio.timeout(request.deadline_ms / 1000):
                await self._forward(request, read_body)
        except TimeoutError:
            await self.refuse(request.call_id, errors.DeadlineExceeded())
        except errors.RopewayError as error:
            await self.refuse(request.call_id, error)

    async def _forward(self, request: envelopes.Request, read_body: BodyReader) -> None:
        operation = self._allowed(request)
        body = request.body
        if request.stream is not None:
            try:
                body = json.loads(await read_body(request.stream))
            except (ValueError, RecursionError):
                raise errors.InvalidRequest("body: not valid JSON") from None
        failpoints.failpoint("connector.call_forward.before_commit")
        async with self._called(operation, request, body) as response:
            failpoints.failpoint("connector.call_forward.after_commit")
            if response.is_success and operation.streams:
                await self._stream_content(request, response)
            else:
                await self._send_answer(request, response, await response.read())

    def _allowed(self, request: envelopes.Request) -> Operation:
        """The operation, if it may be asked for from outside and of this repository."""
        operation = REMOTE_OPERATIONS.get(request.operation)
        if operation is None:
            raise errors.UnsupportedOperation
        wrong = invalid_parameters(operation, request.parameters)
        if wrong:
            raise errors.InvalidRequest(
                "malformed path", errors=[{"field": name, "problem": "not an id of this kind"} for name in wrong]
            )
        if not self.is_shared(request.parameters["repository_id"]):
            raise errors.NotFound("No such repository is shared by this machine.")
        return operation

    @asynccontextmanager
    async def _called(self, operation: Operation, request: envelopes.Request, body: Any) -> AsyncIterator[DaemonAnswer]:
        headers = {"Ropeway-Call-Id": request.call_id, "Ropeway-Actor": _header_text(request.actor)}
        span = tracing.call_span(
            "forward", operation=operation.name, call_id=request.call_id, traceparent=request.traceparent
        )
        with span as traceparent:
            if traceparent is not None:
                headers["traceparent"] = _header_text(traceparent)
            async with self.daemon.call(
                operation,
                parameters=request.parameters,
                query=request.query,
                body=body,
                headers=headers,
                timeout_s=request.deadline_ms / 1000,
            ) as response:
                yield response

    async def _send_answer(self, request: envelopes.Request, answer: DaemonAnswer, content: bytes) -> None:
        status = answer.status
        if not answer.is_success:
            await self._send_problem(request, status, _problem_of(content))
        elif len(content) > limits.INLINE_ANSWER_BYTES:
            head = envelopes.StreamHead(media_type="application/json", size_bytes=len(content), is_body=True)
            answered = envelopes.Response(call_id=request.call_id, status=status, stream=head)
            await self.send_stream(answered, _once(content))
        else:
            await self.send(envelopes.Response(call_id=request.call_id, status=status, body=json.loads(content)))

    async def _stream_content(self, request: envelopes.Request, response: DaemonAnswer) -> None:
        head = _content_head(response.headers)
        answered = envelopes.Response(call_id=request.call_id, status=response.status, stream=head)
        await self.send_stream(answered, response.pieces())

    async def _send_problem(self, request: envelopes.Request, status: int, problem: dict[str, Any]) -> None:
        await self.send(envelopes.Response(call_id=request.call_id, status=status, problem=problem))


def _content_head(headers: Mapping[str, str]) -> envelopes.StreamHead:
    length = int(headers["content-length"])
    found = _CONTENT_RANGE.match(headers.get("content-range", ""))
    etag = _ETAG.match(headers.get("etag", ""))
    return envelopes.StreamHead(
        media_type=headers.get("content-type", "application/octet-stream"),
        size_bytes=length,
        # The daemon's tag is of the whole content, the head's digest of exactly what is streamed.
        sha256=etag.group(1) if etag is not None and found is None else None,
        offset=int(found.group(1)) if found else 0,
        total_bytes=int(found.group(2)) if found else length,
    )


def _problem_of(content: bytes) -> dict[str, Any]:
    try:
        problem = json.loads(content)
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) and "code" in problem else errors.Internal().problem()


def _header_text(text: str) -> str:
    return "".join(character if " " <= character <= "~" else "?" for character in text)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
