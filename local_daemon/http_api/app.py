"""The daemon's HTTP door: one ASGI application over the table of operations.

Translates and decides nothing: who may enter is `requests`' check, what happens is `operations/registry`. Served by
`bootstrap` on a Unix socket and, if asked for, on loopback. Tests: tests/integration/daemon/test_http_api.py.
"""

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from local_daemon.http_api import event_stream, openapi, requests, responses, routing
from local_daemon.http_api.requests import Receive, Scope, Send
from local_daemon.operations import registry
from local_daemon.operations.context import ContentStream, OperationContext
from local_daemon.protocol import errors, ids, messages
from local_daemon.protocol.operations import Operation

logger = logging.getLogger(__name__)

_EVENTS = routing.PREFIX + "/events/stream"
_OPENAPI = routing.PREFIX + "/openapi.json"
_SSE_SUFFIX = "/events/stream"
_SSE_PREFIX = routing.PREFIX + "/repositories/"


class Application:
    """The ASGI application of one daemon."""

    def __init__(self, context: OperationContext, *, token: str) -> None:
        """Every request must show `token`."""
        self._context = context
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        is_started = False

        async def watched_send(message: Any) -> None:
            nonlocal is_started
            is_started = True
            await send(message)

        try:
            await self._answer(scope, receive, watched_send)
        except requests.ClientGone:
            return
        except errors.RopewayError as error:
            if is_started:
                raise  # Half an answer is out; only breaking the connection tells the client so.
            await responses.problem_send(send, error)
        except Exception:
            logger.exception("request crashed", extra={"event": "http.crashed", "path": scope["path"]})
            if is_started:
                raise
            await responses.problem_send(send, errors.Internal())

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw_path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0]
        if raw_path == "/livez":
            await responses.bytes_send(send, b"ok\n", status=200, media_type="text/plain")
            return
        headers = requests.headers_of(scope)
        requests.caller_check(headers, token=self._token)
        match = routing.route_match(scope["method"], raw_path)
        if match is None:
            await self._answer_beside_the_table(scope, raw_path, headers, receive, send)
        elif match.operation is None:
            allow = ", ".join(match.allowed).encode("ascii")
            refused = errors.UnsupportedOperation(f"This path takes {', '.join(match.allowed)} only.")
            await responses.problem_send(send, refused, status=405, headers=[(b"allow", allow)])
        else:
            await self._call(scope, headers, match.operation, match.parameters, receive, send)

    async def _answer_beside_the_table(
        self, scope: Scope, raw_path: str, headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        """What is not an operation: the document that describes them, and the two streams of events."""
        if scope["method"] != "GET":
            raise errors.NotFound("No such path.")
        if raw_path == _OPENAPI:
            await responses.bytes_send(send, self._document, status=200, media_type="application/json")
        elif raw_path == _EVENTS:
            positions = event_stream.positions_parse(scope["query_string"])
            await event_stream.lines_send(send, receive, self._context.database, positions)
        elif raw_path.startswith(_SSE_PREFIX) and raw_path.endswith(_SSE_SUFFIX):
            repository_id = raw_path[len(_SSE_PREFIX) : -len(_SSE_SUFFIX)]
            if not ids.is_id(ids.IdPrefix.REPOSITORY, repository_id):
                raise errors.InvalidRequest("malformed path")
            query = requests.query_parse(messages.EventListQuery, scope["query_string"])
            last_id = headers.get("last-event-id", "")
            after_seq = int(last_id) if last_id.isdigit() else query.after_seq if query else 0
            await event_stream.server_sent_send(
                send, receive, self._context.database, ids.RepositoryId(repository_id), after_seq=after_seq
            )
        else:
            raise errors.NotFound("No such path.")

    async def _call(
        self,
        scope: Scope,
        headers: Mapping[str, str],
        operation: Operation,
        parameters: Mapping[str, str],
        receive: Receive,
        send: Send,
    ) -> None:
        call_id = requests.call_id_of(headers)
        query = requests.query_parse(operation.query, scope["query_string"])
        asked_range = responses.range_parse(headers.get("range")) if operation.streams else None
        if asked_range is not None:
            query = messages.ContentQuery(offset=asked_range[0], length=asked_range[1])
        body = await requests.body_parse(operation.request, headers, receive)
        answer = await registry.call_operation(
            self._context,
            operation,
            parameters=parameters,
            query=query,
            body=body,
            call_id=call_id,
            actor=requests.actor_of(headers),
        )
        logger.info(
            "operation answered", extra={"event": "operation.answered", "operation": operation.name, "call_id": call_id}
        )
        if isinstance(answer, ContentStream):
            is_ranged = answer.length != answer.size_bytes
            await responses.content_send(send, answer, is_ranged=is_ranged, with_body=scope["method"] != "HEAD")
        else:
            await responses.model_send(send, answer, status=_status(operation, answer))

    @cached_property
    def _document(self) -> bytes:
        return openapi.document_render()


def _status(operation: Operation, answer: object) -> int:
    """A repeat that made nothing is not a creation."""
    return operation.success_status if getattr(answer, "created", True) else 200
