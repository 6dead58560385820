"""HTTP as /api/v2 needs it, over plain ASGI: one request in, one response out, problems as RFC 9457 has them.

Deliberately no framework: this is the hottest path. Called by `http`. Tests:
tests/integration/cloud/relay/test_http.py.
"""

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from local_daemon.protocol import errors, ids, limits
from relay import http_refusals

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_QUERY_FIELDS = 50
_QUERY_BYTES = 4 * limits.KIB
_LENGTH = re.compile(r"[0-9]{1,18}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked, without its body."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    client_address: str | None

    @classmethod
    def of(cls, scope: Scope) -> "Request":
        """The request behind a scope. Raises InvalidRequest for a query that is none, or names a field twice."""
        client = scope.get("client")
        return cls(
            method=scope["method"],
            path=scope["path"],
            query=query_read(scope.get("query_string", b"")),
            headers={key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]},
            client_address=client[0] if client else None,
        )

    def bearer(self) -> str:
        """The token presented. Raises Unauthenticated where there is none."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise errors.Unauthenticated
        return token.strip()

    def traceparent(self) -> str | None:
        """The W3C trace the request belongs to; what is no trace is passed over."""
        traceparent = self.headers.get("traceparent")
        return traceparent if traceparent is not None and _TRACEPARENT.fullmatch(traceparent) else None

    def has_json(self) -> bool:
        """Whether the body is said to be JSON."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"

    def announced_bytes(self) -> int:
        """How long the body is said to be; 0 where nothing is said. Raises InvalidRequest for what is no length."""
        announced = self.headers.get("content-length", "0")
        if _LENGTH.fullmatch(announced) is None:
            raise errors.InvalidRequest("Content-Length: not a length")
        return int(announced)

    def prefers_async(self) -> bool:
        """Whether the planner wants to be answered before the machine is (RFC 7240)."""
        preferences = (part.split(";")[0].strip().lower() for part in self.headers.get("prefer", "").split(","))
        return "respond-async" in preferences


def query_read(raw: bytes) -> dict[str, str]:
    """A query string's parameters. Raises InvalidRequest for one that is too long, malformed, or names one twice."""
    if not raw:
        return {}
    if len(raw) > _QUERY_BYTES:
        raise errors.InvalidRequest("The query string is too long.")
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=_QUERY_FIELDS, errors="strict")
    except ValueError:
        raise errors.InvalidRequest("The query string is malformed.") from None
    query = dict(pairs)
    if len(query) != len(pairs):
        raise errors.InvalidRequest("A query parameter is given twice.")
    return query


async def read_body(request: Request, receive: Receive) -> bytes:
    """The whole body. Raises PayloadTooLarge as soon as it is known to be too long, BodyTooSlow when it takes too long
    to come, InvalidRequest where its length is none, ConnectionError when the caller is gone."""
    if request.announced_bytes() > limits.BODY_BYTES:
        raise errors.PayloadTooLarge(limit=limits.BODY_BYTES)
    try:
        async with asyncio.timeout(limits.BODY_S):
            return await _gathered(receive)
    except TimeoutError:
        raise http_refusals.BodyTooSlow from None


async def _gathered(receive: Receive) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise ConnectionError("the caller is gone")
        piece: bytes = event.get("body", b"")
        size += len(piece)
        if size > limits.BODY_BYTES:
            raise errors.PayloadTooLarge(limit=limits.BODY_BYTES)
        pieces.append(piece)
        if not event.get("more_body", False):
            return b"".join(pieces)


async def send_json(
    send: Send, status: int, body: Any, *, headers: Iterable[tuple[bytes, bytes]] = (), is_problem: bool = False
) -> None:
    """Answer with JSON."""
    content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", errors="replace")
    media_type = b"application/problem+json" if is_problem else b"application/json"
    await send_head(send, status, [(b"content-type", media_type), (b"content-length", b"%d" % len(content)), *headers])
    await send({"type": "http.response.body", "body": content})


async def send_head(send: Send, status: int, headers: Headers) -> None:
    """Begin an answer; nothing of it may be stored on the way."""
    common = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *common]})


async def send_problem(send: Send, error: errors.RopewayError) -> None:
    """Answer with a problem, and what its status asks for."""
    headers: Headers = []
    if isinstance(error, errors.Unauthenticated):
        headers.append((b"www-authenticate", b'Bearer realm="ropeway"'))
    if isinstance(error, errors.MethodNotAllowed):
        # A machine may have said this too: only what is a method is one.
        said = error.attributes.get("allowed")
        allowed = [method for method in _METHODS if isinstance(said, list) and method in said]
        headers.append((b"allow", ", ".join(allowed).encode("ascii")))
    if isinstance(error, http_refusals.BodyTooSlow):
        # Whoever trickles must not hold the connection either.
        headers.append((b"connection", b"close"))
    retry_after_s = error.retry_after_s or limits.RETRY_AFTER_S.get(error.code)
    if retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % math.ceil(retry_after_s)))
    call_id = error.attributes.get("call_id")
    if isinstance(call_id, str) and ids.is_id(ids.IdPrefix.CALL, call_id):
        headers.append((b"ropeway-call-id", call_id.encode("ascii")))
    await send_json(send, error.row.http, error.problem(), headers=headers, is_problem=True)
