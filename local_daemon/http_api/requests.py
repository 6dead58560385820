"""Reading a request: who asks, from where, and what, with every limit enforced before anything is parsed.

Refuses what a browser page or another user of the machine could send. Deliberately knows no operation's meaning.
Tests: tests/integration/daemon/test_http_api.py.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeVar, overload
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from local_daemon.identity import keys
from local_daemon.protocol import errors, faults, idempotency, ids, limits, wire

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
M = TypeVar("M", bound=BaseModel)

_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LENGTH = re.compile(r"[0-9]{1,18}")
_QUERY_BYTES = 16 * limits.KIB  # a path may be 4096 characters
_QUERY_FIELDS = 50
LOCAL_ACTOR = "operator"


class ClientGone(Exception):
    """The client closed its connection before it had sent its request."""


def headers_of(scope: Scope) -> Mapping[str, str]:
    """The request's headers by lowercase name; of a repeated one, the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def caller_check(headers: Mapping[str, str], *, token: str) -> None:
    """Let in who shows the token and comes neither from a web page nor by a name that isn't this machine's.
    Raises Forbidden, Unauthenticated."""
    host = headers.get("host", "").lower()
    if _LOOPBACK.fullmatch(host) is None:
        raise errors.Forbidden("This daemon answers to its loopback name only.")
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{host}":
        raise errors.Forbidden("This daemon does not answer to web pages of other origins.")
    scheme, _, shown = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not keys.token_matches(shown.strip(), token):
        raise errors.Unauthenticated("Show the daemon's token as a bearer token.")


def call_id_of(headers: Mapping[str, str]) -> ids.CallId | None:
    """The call this request is, if it says so by its id or by a key of its actor's. Raises InvalidRequest for a
    malformed one, and for both at once."""
    call_id, key = headers.get("ropeway-call-id"), headers.get("idempotency-key")
    if key is not None:
        if call_id is not None:
            raise errors.InvalidRequest("Idempotency-Key: a call with a Ropeway-Call-Id takes none")
        return idempotency.call_id_of_key(key, actor=actor_of(headers))
    if call_id is None:
        return None
    if not ids.is_id(ids.IdPrefix.CALL, call_id):
        raise errors.InvalidRequest("Ropeway-Call-Id: malformed")
    return ids.CallId(call_id)


def actor_of(headers: Mapping[str, str]) -> str:
    """Who asks, for the record (UTF-8, as the client's own word); without one it is whoever sits at the machine."""
    said = headers.get("ropeway-actor", "").encode("latin-1").decode("utf-8", errors="replace")
    actor = "".join(character for character in said if character.isprintable()).strip()
    return actor[: limits.TITLE_CHARACTERS] or LOCAL_ACTOR


def traceparent_of(headers: Mapping[str, str]) -> str | None:
    """The W3C trace this request belongs to, for the log; what is no trace is passed over."""
    traceparent = headers.get("traceparent", "")
    return traceparent if _TRACEPARENT.fullmatch(traceparent) else None


@overload
def query_parse(model: type[M], raw: bytes) -> M: ...
@overload
def query_parse(model: type[M] | None, raw: bytes) -> M | None: ...
def query_parse(model: type[M] | None, raw: bytes) -> M | None:
    """The query string as the operation's model. Raises InvalidRequest."""
    pairs = pairs_parse(raw, limit_bytes=_QUERY_BYTES, limit_fields=_QUERY_FIELDS)
    if model is None:
        if pairs:
            raise errors.InvalidRequest("query: this operation takes none")
        return None
    query = dict(pairs)
    if len(query) != len(pairs):
        raise errors.InvalidRequest("query: a name is repeated")
    try:
        return model.model_validate_strings(query)
    except ValidationError as error:
        raise errors.InvalidRequest("query: not valid", errors=faults.field_faults(error)) from None


def pairs_parse(raw: bytes, *, limit_bytes: int, limit_fields: int) -> list[tuple[str, str]]:
    """A query string's names and values, in order. Raises InvalidRequest."""
    if len(raw) > limit_bytes:
        raise errors.InvalidRequest("query: too long")
    text = raw.decode("latin-1")
    if _BAD_ESCAPE.search(text):
        raise errors.InvalidRequest("query: a % begins no escape")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=limit_fields, errors="strict")
    except UnicodeDecodeError:
        raise errors.InvalidRequest("query: not UTF-8") from None
    except ValueError:
        raise errors.InvalidRequest("query: too many fields") from None


async def body_parse(model: type[M] | None, headers: Mapping[str, str], receive: Receive) -> M | None:
    """The body as the operation's model. Raises InvalidRequest, PayloadTooLarge before it is read in full."""
    if model is None:
        return None
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise errors.InvalidRequest("Content-Type: must be application/json")
    content = await body_read(headers, receive)
    try:
        return model.model_validate(wire.json_read(content or b"{}"))
    except ValidationError as error:
        raise errors.InvalidRequest("body: not valid", errors=faults.field_faults(error)) from None
    except ValueError as error:
        raise errors.InvalidRequest(f"body: {error}") from None


async def body_read(headers: Mapping[str, str], receive: Receive) -> bytes:
    """The whole body. Raises PayloadTooLarge by what the client announces, else as soon as it is seen, and
    DeadlineExceeded for one that takes too long to come."""
    announced = headers.get("content-length", "0")
    if _LENGTH.fullmatch(announced) is None or int(announced) > limits.BODY_BYTES:
        raise errors.PayloadTooLarge(limit=limits.BODY_BYTES)
    try:
        async with asyncio.timeout(limits.BODY_S):
            return await _body_gather(receive)
    except TimeoutError:
        raise errors.DeadlineExceeded(f"The body did not come within {limits.BODY_S} s; nothing was done.") from None


async def _body_gather(receive: Receive) -> bytes:
    content = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        content += message.get("body", b"")
        if len(content) > limits.BODY_BYTES:
            raise errors.PayloadTooLarge(limit=limits.BODY_BYTES)
        if not message.get("more_body", False):
            return bytes(content)
