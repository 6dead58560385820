"""/api/v2: every remote operation as HTTP, generated from the table; nothing else of a machine can be reached here.

`/api/v2/projects/{project_id}` stands for the repository the project is in; below it the operations' own paths. Raw
ASGI, mounted before Django. It parses and renders; the Planner decides. Tests:
tests/integration/cloud/relay/test_http.py.
"""

import functools
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from local_daemon.protocol import errors, limits
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.operations import REMOTE_OPERATIONS
from relay import contents, http_refusals, openapi
from relay.calls import Answer
from relay.http_messages import (
    Headers,
    Receive,
    Request,
    Scope,
    Send,
    read_body,
    send_head,
    send_json,
    send_problem,
)
from relay.ports import Asked, Planner, PlannerAnswer

PREFIXES = ("/api/v2/projects", "/api/v2/calls", openapi.PATH)
_NO_PATH = "There is no such path; docs/reference.md lists them."
_REPOSITORY = "/repositories/{repository_id}"
_SMALL_BODY_BYTES = 64 * limits.KIB
"""A longer body is read only for a caller who is known."""
_MEDIA_TYPE = re.compile(r"[\x21-\x7e]+/[\x20-\x7e]+")
_UNKNOWN_MEDIA_TYPE = b"application/octet-stream"
_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{1,15})?")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An operation's place below a project; a segment in braces is a parameter."""

    operation: Operation
    segments: tuple[str, ...]

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """The parameters of a path, or None if it is another's."""
        parameters = {}
        for pattern, given in zip(self.segments, segments, strict=True):
            if pattern.startswith("{"):
                parameters[pattern[1:-1]] = given
            elif pattern != given:
                return None
        return parameters


def _segments_of(operation: Operation) -> tuple[str, ...]:
    below = operation.path.removeprefix(_REPOSITORY)
    return tuple(below.removeprefix("/").split("/")) if below else ("repository",)


def _routes() -> Mapping[tuple[str, int], tuple[Route, ...]]:
    found: dict[tuple[str, int], tuple[Route, ...]] = {}
    for operation in REMOTE_OPERATIONS.values():
        route = Route(operation=operation, segments=_segments_of(operation))
        key = (operation.method, len(route.segments))
        found[key] = (*found.get(key, ()), route)
    return MappingProxyType(found)


ROUTES = _routes()


def path_of(operation: Operation) -> str:
    """Where an operation stands on this surface."""
    return "/api/v2/projects/{project_id}/" + "/".join(_segments_of(operation))


class RelayApi:
    """The ASGI application."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            request = Request.of(scope)
            await self._answer(request, receive, send)
        except errors.RopewayError as error:
            await send_problem(send, error)
        except ConnectionError:
            return
        except Exception:
            logger.exception("A request failed", extra={"event": "relay.request_failed"})
            await send_problem(send, errors.Internal())

    async def _answer(self, request: Request, receive: Receive, send: Send) -> None:
        match request.path.removeprefix("/api/v2/").rstrip("/").split("/"):
            case ["projects"]:
                _require_get(request)
                query, address = dict(request.query), request.client_address
                projects = await self._planner.perform(request.bearer(), "projects.list", query, client_address=address)
                await send_json(send, 200, projects)
            case ["openapi.json"]:
                _require_get(request)
                # For anybody, as the code is: whoever reads it has to know what to ask before they have a token.
                await _send_document(send)
            case ["calls", call_id]:
                _require_get(request)
                if request.query:
                    raise errors.InvalidRequest("This path takes no query.")
                address = request.client_address
                state = await self._planner.call_state(request.bearer(), call_id, client_address=address)
                await send_json(send, 200, state)
            case ["projects", project_id, *below] if below:
                await self._call(_found(request.method, below), project_id, request, receive, send)
            case _:
                raise errors.NotFound(_NO_PATH)

    async def _call(
        self,
        found: tuple[Operation, dict[str, str]],
        project_id: str,
        request: Request,
        receive: Receive,
        send: Send,
    ) -> None:
        operation, parameters = found
        token = request.bearer()
        credential = token if _is_small(request) else await self._planner.authenticate(token)
        try:
            body = await read_body(request, receive)
            if body and operation.request is not None and not request.has_json():
                raise http_refusals.UnsupportedMediaType
            query: dict[str, Any] = dict(request.query)
            location = query.pop("location", None)
            is_range = operation.streams and _apply_range(request, query)
        except (errors.RopewayError, ConnectionError):
            if not isinstance(credential, str):
                # It never comes to the funnel, which would have counted it.
                await self._planner.count(credential, operation.name, client_address=request.client_address)
            raise
        answered = await self._planner.call(
            Asked(
                credential=credential,
                operation=operation.name,
                project_id=project_id,
                parameters=parameters,
                query=query,
                body=body or None,
                location=location,
                idempotency_key=request.headers.get("idempotency-key"),
                traceparent=request.traceparent(),
                client_address=request.client_address,
                respond_async=request.prefers_async(),
            )
        )
        headers: Headers = [(b"ropeway-call-id", answered.call_id.encode())]
        if answered.is_replay:
            headers.append((b"idempotent-replayed", b"true"))
        if operation.streams and answered.answer.status < 300 and answered.answer.status != 202:
            await _send_content(send, answered, headers, is_range=is_range)
        else:
            await send_json(send, answered.answer.status, answered.answer.body, headers=headers)


@functools.cache
def document() -> bytes:
    """What this surface answers, in OpenAPI."""
    return openapi.document_render(path_of)


async def _send_document(send: Send) -> None:
    content = document()
    headers: Headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send_head(send, 200, headers)
    await send({"type": "http.response.body", "body": content})


def _is_small(request: Request) -> bool:
    return request.announced_bytes() <= _SMALL_BODY_BYTES and "transfer-encoding" not in request.headers


def _found(method: str, below: list[str]) -> tuple[Operation, dict[str, str]]:
    for route in ROUTES.get((method, len(below)), ()):
        parameters = route.match(below)
        if parameters is not None:
            return route.operation, parameters
    allowed = {
        route.operation.method
        for (_, length), routes in ROUTES.items()
        for route in routes
        if length == len(below) and route.match(below) is not None
    }
    if allowed:
        raise _refused_method(*allowed)
    raise errors.NotFound(_NO_PATH)


def _require_get(request: Request) -> None:
    if request.method != "GET":
        raise _refused_method("GET")


def _refused_method(*allowed: str) -> errors.MethodNotAllowed:
    return errors.MethodNotAllowed(f"This path takes {', '.join(sorted(allowed))} only.", allowed=sorted(allowed))


def _apply_range(request: Request, query: dict[str, Any]) -> bool:
    """Turn a Range header into offset and length; whether there was one that we serve (others may be ignored)."""
    match = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if match is None or "offset" in query or "length" in query:
        return False
    first, last = int(match.group(1)), match.group(2)
    query["offset"] = first
    if last is not None:
        if int(last) < first:
            raise errors.RangeInvalid
        query["length"] = int(last) - first + 1
    return True


async def _send_content(send: Send, answered: PlannerAnswer, headers: Headers, *, is_range: bool) -> None:
    """The bytes of an artifact, as they come from the machine."""
    answer = answered.answer
    if answer.content is None:
        await _send_collected(send, answer, headers, is_range=is_range)
        return
    head = answer.content.head
    try:
        await send_head(
            send,
            206 if is_range else answer.status,
            [
                *headers,
                *_content_headers(head.media_type, head.offset, head.size_bytes, head.total_bytes, is_range=is_range),
            ],
        )
        async for piece in answer.content:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except errors.RopewayError as error:
        # The head is out: all that is left is to break the answer off, so that nobody takes it for whole.
        logger.warning("Content ended early: %s", error, extra={"event": "relay.content_broken", "code": error.code})
        raise ConnectionError("the content ended early") from error
    finally:
        await answer.content.aclose()


async def _send_collected(send: Send, answer: Answer, headers: Headers, *, is_range: bool) -> None:
    """Content that came through another process stands whole in the answer."""
    view = answer.body
    content = contents.content_bytes(view)
    described = _content_headers(
        view["media_type"], view["offset"], len(content), view["size_bytes"], is_range=is_range
    )
    await send_head(send, 206 if is_range else answer.status, [*headers, *described])
    await send({"type": "http.response.body", "body": content})


def _content_headers(
    media_type: str, offset: int, size_bytes: int | None, total_bytes: int | None, *, is_range: bool
) -> Headers:
    headers: Headers = [
        # An artifact is whatever an executor wrote: never something a browser should render here.
        (b"content-type", media_type.encode("ascii") if _MEDIA_TYPE.fullmatch(media_type) else _UNKNOWN_MEDIA_TYPE),
        (b"content-disposition", b"attachment"),
        (b"accept-ranges", b"bytes"),
    ]
    if size_bytes is not None:
        headers.append((b"content-length", b"%d" % size_bytes))
        if is_range and size_bytes:
            total = b"*" if total_bytes is None else b"%d" % total_bytes
            headers.append((b"content-range", b"bytes %d-%d/%s" % (offset, offset + size_bytes - 1, total)))
    return headers
