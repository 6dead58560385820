"""Reading a request: who asks, from where, and what, with every limit enforced before anything is parsed.

Refuses what a browser page or another user of the machine could send. Deliberately knows no operation's meaning.
Tests: tests/integration/daemon/test_http_api.py.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from local_daemon.identity import keys
from local_daemon.protocol import envelopes, errors, ids, limits

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
M = TypeVar("M", bound=BaseModel)

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_QUERY_BYTES = 4096
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
    if _host_name(host) not in _LOOPBACK:
        raise errors.Forbidden("This daemon answers to its loopback name only.")
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{host}":
        raise errors.Forbidden("This daemon does not answer to web pages of other origins.")
    scheme, _, shown = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not keys.token_matches(shown.strip(), token):
        raise errors.Unauthenticated("Show the daemon's token as a bearer token.")


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def call_id_of(headers: Mapping[str, str]) -> ids.CallId | None:
    """The call this request is, if it says so. Raises InvalidRequest for a malformed id."""
    call_id = headers.get("ropeway-call-id")
    if call_id is None:
        return None
    if not ids.is_id(ids.IdPrefix.CALL, call_id):
        raise errors.InvalidRequest("Ropeway-Call-Id: malformed")
    return ids.CallId(call_id)


def actor_of(headers: Mapping[str, str]) -> str:
    """Who asks, for the record; without a word it is whoever sits at the machine."""
    actor = "".join(character for character in headers.get("ropeway-actor", "") if character.isprintable())
    return actor[: limits.TITLE_CHARACTERS] or LOCAL_ACTOR


def query_parse(model: type[M] | None, raw: bytes) -> M | None:
    """The query string as the operation's model. Raises InvalidRequest."""
    if len(raw) > _QUERY_BYTES:
        raise errors.InvalidRequest("query: too long")
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=50)
    if model is None:
        if pairs:
            raise errors.InvalidRequest("query: this operation takes none")
        return None
    return model_parse(model, dict(pairs), place="query")


async def body_parse(model: type[M] | None, headers: Mapping[str, str], receive: Receive) -> M | None:
    """The body as the operation's model. Raises InvalidRequest, PayloadTooLarge before it is read in full."""
    if model is None:
        return None
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise errors.InvalidRequest("Content-Type: must be application/json")
    content = await body_read(headers, receive)
    try:
        document = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        raise errors.InvalidRequest("body: not valid JSON") from None
    return model_parse(model, document, place="body")


async def body_read(headers: Mapping[str, str], receive: Receive) -> bytes:
    """The whole body. Raises PayloadTooLarge by what the client announces, else as soon as it is seen."""
    announced = headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > limits.BODY_BYTES:
        raise errors.PayloadTooLarge(limit=limits.BODY_BYTES)
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


def model_parse(model: type[M], document: Any, *, place: str) -> M:
    """The document as the model. Raises InvalidRequest that names each field and repeats no value."""
    try:
        # JSON mode for a body: a list is a tuple there, a number is no text. A query's values are all text.
        return model.model_validate(document)
    except ValidationError as error:
        raise errors.InvalidRequest(f"{place}: not valid", errors=envelopes.readable_errors(error)) from None
