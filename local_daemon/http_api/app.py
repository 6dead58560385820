"""The daemon's HTTP door: one ASGI application over the table of operations.

Translates and decides nothing: who may enter is `requests`' check, what happens is `operations/registry`, imported with
all it needs when it is first asked for: a daemon is ready without it. Served by `bootstrap` on a Unix socket and, if
asked for, on loopback. Tests: tests/integration/daemon/test_http_api.py.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

from local_daemon.http_api import event_stream, executor_stream, json_rpc, requests, responses, routing
from local_daemon.http_api.requests import Receive, Scope, Send
from local_daemon.operations.context import ContentStream, OperationContext
from local_daemon.protocol import errors, ids, messages, tracing
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.operations import OPERATIONS

logger = logging.getLogger(__name__)

_LIVEZ = "/livez"
_EVENTS = routing.PREFIX + "/events/stream"
_EXECUTORS = routing.PREFIX + "/instance/executors/stream"
_OPENAPI = routing.PREFIX + "/openapi.json"
_SSE_SUFFIX = "/events/stream"
_LOG_SUFFIX = "/log/stream"
_NOT_AN_ID = {"field": "repository_id", "problem": "not an id of this kind"}
_READING = frozenset({"GET", "HEAD"})
_SSE_PREFIX = routing.PREFIX + "/repositories/"


class Application:
    """The ASGI application of one daemon."""

    def __init__(
        self, context: OperationContext, *, token: str, doors_open: Callable[[], json_rpc.MessageDoors]
    ) -> None:
        """Every request must show `token`; what `doors_open` gives at the first JSON-RPC message answers them."""
        self._context = context
        self._token = token
        self._doors_open = doors_open
        self._stopping = asyncio.Event()

    def streams_end(self) -> None:
        """The daemon stops: whoever follows events is told so by the end of the stream."""
        self._stopping.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        exchange = _Exchange(scope, send)
        try:
            await self._answer(scope, receive, exchange.send)
        except requests.ClientGone:
            return
        except errors.RopewayError as error:
            if exchange.status is not None:
                raise  # Half an answer is out; only breaking the connection tells the client so.
            await responses.problem_send(exchange.send, error)
        except Exception:
            logger.exception("request crashed", extra=exchange.facts())
            if exchange.status is not None:
                raise
            await responses.problem_send(exchange.send, errors.Internal())
        finally:
            exchange.log()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw_path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0]
        if raw_path == _LIVEZ and scope["method"] in _READING:
            await responses.bytes_send(send, b"ok\n", status=200, media_type="text/plain")
            return
        headers = requests.headers_of(scope)
        requests.caller_check(headers, token=self._token)
        match = routing.route_match(scope["method"], raw_path)
        if match is None:
            await self._answer_beside_the_table(scope, raw_path, headers, receive, send)
        elif match.operation is None:
            raise _method_refused(*match.allowed)
        else:
            span = tracing.call_span(
                "daemon",
                operation=match.operation.name,
                call_id=requests.call_id_of(headers),
                traceparent=requests.traceparent_of(headers),
            )
            with span:
                await self._call(scope, headers, match.operation, match.parameters, receive, send)

    async def _answer_beside_the_table(
        self, scope: Scope, raw_path: str, headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        """What is not an operation: JSON-RPC, the document that describes the operations, and the streams."""
        is_message = raw_path in (json_rpc.MCP, json_rpc.CALL)
        if scope["method"] != ("POST" if is_message else "GET"):
            _known_require(raw_path)
            raise _method_refused("POST" if is_message else "GET")
        if raw_path == json_rpc.MCP:
            await json_rpc.message_answer(self._doors, headers, receive, send)
        elif raw_path == json_rpc.CALL:
            await json_rpc.envelope_answer(self._doors, headers, receive, send)
        elif raw_path == _OPENAPI:
            requests.query_parse(None, scope["query_string"])
            await responses.bytes_send(send, self._document, status=200, media_type="application/json")
        elif raw_path == _EVENTS:
            positions = event_stream.positions_parse(scope["query_string"])
            await event_stream.lines_send(send, receive, self._context.database, positions, stopping=self._stopping)
        elif raw_path == _EXECUTORS:
            requests.query_parse(None, scope["query_string"])
            await executor_stream.lines_send(send, receive, self._context, stopping=self._stopping)
        else:
            _known_require(raw_path)
            await self._stream(scope, raw_path, headers, receive, send)

    async def _stream(
        self, scope: Scope, raw_path: str, headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        """Server-sent events: a repository's log of events, or a step's output."""
        last_id = headers.get("last-event-id")
        if raw_path.endswith(_LOG_SUFFIX):
            from local_daemon.http_api import log_stream

            match = routing.route_match("GET", raw_path.removesuffix("/stream"))
            assert match is not None  # what is known was looked at before
            log_query = requests.query_parse(messages.LogQuery, scope["query_string"])
            await log_stream.log_send(
                send,
                receive,
                self._context,
                match.parameters,
                log_query,
                log_stream.position_parse(last_id, log_query),
                stopping=self._stopping,
            )
            return
        repository_id = raw_path[len(_SSE_PREFIX) : -len(_SSE_SUFFIX)]
        if not ids.is_id(ids.IdPrefix.REPOSITORY, repository_id):
            raise errors.InvalidRequest("malformed path", errors=[_NOT_AN_ID])
        query = requests.query_parse(messages.EventFollowQuery, scope["query_string"])
        await event_stream.server_sent_send(
            send,
            receive,
            self._context.database,
            ids.RepositoryId(repository_id),
            after_seq=query.after_seq
            if last_id is None
            else event_stream.position_parse(last_id, name="Last-Event-ID"),
            stopping=self._stopping,
        )

    async def _call(
        self,
        scope: Scope,
        headers: Mapping[str, str],
        operation: Operation,
        parameters: Mapping[str, str],
        receive: Receive,
        send: Send,
    ) -> None:
        from local_daemon.operations import registry

        call = partial(
            registry.call_operation,
            self._context,
            operation,
            parameters=parameters,
            body=await requests.body_parse(operation.request, headers, receive),
            call_id=requests.call_id_of(headers),
            actor=requests.actor_of(headers),
        )
        answer = await call(query=requests.query_parse(operation.query, scope["query_string"]))
        if not isinstance(answer, ContentStream):
            await responses.model_send(send, answer, status=_status(operation, answer))
            return
        if responses.is_held(answer, headers.get("if-none-match")):
            # Looked at before a range: there is nothing to send a part of.
            await responses.unchanged_send(send, answer)
            return
        wanted = responses.range_parse(headers.get("range"))
        if wanted is not None:
            # Nothing was read for the first answer; it told the size that a range is relative to.
            answer = await call(query=wanted.query(answer.size_bytes))
            assert isinstance(answer, ContentStream)
        is_partial = wanted is not None or answer.length < answer.size_bytes
        await responses.content_send(send, answer, is_partial=is_partial, with_body=scope["method"] != "HEAD")

    @cached_property
    def _doors(self) -> json_rpc.MessageDoors:
        return self._doors_open()

    @cached_property
    def _document(self) -> bytes:
        from local_daemon.http_api import openapi

        return openapi.document_render()


class _Exchange:
    """One request and its answer, as far as the log tells of them: never a body, a query or a credential."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._began_at = time.perf_counter()
        self.status: int | None = None

    async def send(self, message: Any) -> None:
        """Pass a message on and remember what it said."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    def log(self) -> None:
        """Tell what changed something, or was refused; what was only read is told where the operator asks for it."""
        is_quiet = self._scope["method"] in _READING and self.status is not None and self.status < 400
        level = logging.DEBUG if is_quiet else logging.INFO
        if logger.isEnabledFor(level):
            logger.log(level, "request answered", extra=self.facts())

    def facts(self) -> dict[str, object]:
        """The fields of its log line."""
        headers = requests.headers_of(self._scope)
        return {
            "event": "http.answered",
            "method": self._scope["method"],
            "path": self._scope["path"],
            "status": self.status,
            "duration_ms": round((time.perf_counter() - self._began_at) * 1000, 1),
            "call_id": _call_id(headers),
            "traceparent": requests.traceparent_of(headers),
        }


def _call_id(headers: Mapping[str, str]) -> ids.CallId | None:
    """The call that a request is, for its log line: one that is malformed was refused, which the line says."""
    try:
        return requests.call_id_of(headers)
    except errors.InvalidRequest:
        return None


def _known_require(raw_path: str) -> None:
    """Raises NotFound for a path of nothing here."""
    if raw_path in (_LIVEZ, _OPENAPI, _EVENTS, _EXECUTORS, json_rpc.MCP, json_rpc.CALL):
        return
    if raw_path.startswith(_SSE_PREFIX) and raw_path.endswith(_SSE_SUFFIX):
        return
    if raw_path.endswith(_LOG_SUFFIX):
        match = routing.route_match("GET", raw_path.removesuffix("/stream"))
        if match is not None and match.operation is OPERATIONS["steps.log"]:
            return
    raise errors.NotFound("No such path.")


def _method_refused(*allowed: str) -> errors.MethodNotAllowed:
    return errors.MethodNotAllowed(f"This path takes {', '.join(allowed)} only.", allowed=list(allowed))


def _status(operation: Operation, answer: object) -> int:
    """A repeat that made nothing is not a creation."""
    return operation.success_status if getattr(answer, "created", True) else 200
