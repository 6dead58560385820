"""What the MCP surface refuses, in the words of the one table of errors.

Before JSON-RPC begins a refusal is a problem, as everywhere; within it, a JSON-RPC error whose `data` holds the table's
code. The SDK speaks of its own there: `Worded` and `worded` turn what it says. Called by `transport` and `server`.
Tests: tests/unit/relay/test_mcp_refusals.py, tests/integration/cloud/relay/test_mcp.py.
"""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import mcp_types as types
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from local_daemon.protocol import errors
from relay.http_messages import Headers, Send, send_problem

_ERRORS: Mapping[int, type[errors.RopewayError]] = MappingProxyType(
    {
        types.METHOD_NOT_FOUND: errors.UnsupportedOperation,
        types.INTERNAL_ERROR: errors.Internal,
        types.UNSUPPORTED_PROTOCOL_VERSION: errors.ProtocolMismatch,
    }
)
"""What the SDK refuses with; whatever else it may be, the request was wrong."""
_BEFORE_ANY_CALL = frozenset({types.PARSE_ERROR, types.INVALID_REQUEST, types.INVALID_PARAMS})
_NO_MESSAGE = "The body is not one JSON-RPC message."
_RESOURCE_NOT_FOUND = -32002
"""What the session revisions say of a resource that is not there; later ones say that its name is no good."""
_REFUSED = -32010
"""One of the codes that are an implementation's own: the request is well, and its data says why it is refused."""
_FACTS = ("code", "detail", "retryable", "retry_after_s", "attributes")
_DETAIL_CHARACTERS = 300


def facts(error: errors.RopewayError) -> dict[str, Any]:
    """What a planner is told of an error within JSON-RPC."""
    problem = error.problem()
    return {name: problem[name] for name in _FACTS if name in problem}


async def worded(ctx: ServerRequestContext[dict[str, Any], Any], call_next: CallNext) -> HandlerResult:
    """The SDK's middleware: a protocol error that a request ends with says our code beside its own."""
    try:
        return await call_next(ctx)
    except ValidationError:
        raise MCPError(types.INVALID_PARAMS, _INVALID, facts(errors.InvalidRequest(_INVALID))) from None
    except MCPError as error:
        raise MCPError(error.error.code, error.error.message, _data(error.error.model_dump())) from error


_INVALID = "The parameters do not fit the method."


@contextmanager
def as_protocol_errors(protocol_version: str, *, uri: str | None = None) -> Iterator[None]:
    """Where no result can say that it failed: an error of the table leaves as JSON-RPC's, its facts in the data, and
    which resource was asked for."""
    try:
        yield
    except errors.RopewayError as error:
        told = facts(error) if uri is None else {**facts(error), "uri": uri}
        raise MCPError(_code_of(error, protocol_version), error.detail, told) from error


def _code_of(error: errors.RopewayError, protocol_version: str) -> int:
    if isinstance(error, errors.NotFound):
        return types.INVALID_PARAMS if protocol_version in MODERN_PROTOCOL_VERSIONS else _RESOURCE_NOT_FOUND
    if isinstance(error, errors.InvalidRequest):
        return types.INVALID_PARAMS
    return types.INTERNAL_ERROR if isinstance(error, errors.Internal) else _REFUSED


class Worded:
    """An ASGI `send` through which the SDK's refusals leave as ours; everything else passes untouched."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._status: int | None = None
        self._headers: Headers = []
        self._body = bytearray()
        self._added: Headers = []
        self._has_ended = False
        self._before_refusing: Callable[[], Awaitable[None]] | None = None
        self.has_begun = False

    def refuses_after(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do this before a refusal leaves; where that is refused itself, this is told instead."""
        self._before_refusing = step

    def adds(self, header: tuple[bytes, bytes]) -> None:
        """Give an answer that is no refusal one header more."""
        self._added.append(header)

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        """Pass on one message of the SDK, or keep it until the refusal is whole."""
        if message["type"] == "http.response.start" and message["status"] >= 400:
            self._status, self._headers = message["status"], list(message.get("headers", []))
            return
        if self._status is None:
            self.has_begun = True
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *self._added]}
            else:
                self._has_ended = not message.get("more_body", False)
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            self.has_begun = True
            await self._refuse(self._status, bytes(self._body))

    async def end(self) -> None:
        """End an answer that nobody waits for any more, whatever there is of it."""
        if not self.has_begun:
            await self._send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        if not self._has_ended:
            await self._send({"type": "http.response.body", "body": b""})

    async def _refuse(self, status: int, body: bytes) -> None:
        try:
            if self._before_refusing is not None:
                await self._before_refusing()
        except errors.RopewayError as error:
            await send_problem(self._send, error)
            return
        spoken = _json_rpc(body)
        if spoken is None or (spoken.get("id") is None and spoken["error"].get("code") in _BEFORE_ANY_CALL):
            await send_problem(self._send, _error_of(status, spoken))
            return
        spoken["error"]["data"] = _data(spoken["error"])
        content = json.dumps(spoken, separators=(",", ":")).encode()
        kept = [(name, value) for name, value in self._headers if name.lower() != b"content-length"]
        headers = [*kept, (b"content-length", b"%d" % len(content))]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": content})


def _json_rpc(body: bytes) -> dict[str, Any] | None:
    """The JSON-RPC error in an answer, if it is one."""
    try:
        spoken = json.loads(body)
    except ValueError:
        return None
    is_error = isinstance(spoken, dict) and "jsonrpc" in spoken and isinstance(spoken.get("error"), dict)
    return spoken if is_error else None


def _error_of(status: int, spoken: Mapping[str, Any] | None) -> errors.RopewayError:
    if spoken is not None:
        # Not in the SDK's words: they repeat what was sent, which may hold a secret.
        return errors.InvalidRequest(_NO_MESSAGE)
    return next(
        (found() for code, found in errors.BY_CODE.items() if errors.TABLE[code].http == status), errors.Internal()
    )


def _error(said: Mapping[str, Any]) -> errors.RopewayError:
    found = _ERRORS.get(said.get("code", 0), errors.InvalidRequest)
    return found(str(said.get("message") or found.__doc__)[:_DETAIL_CHARACTERS])


def _data(said: Mapping[str, Any]) -> dict[str, Any]:
    """An error's data with our facts in it; what the protocol itself says there (versions, names) stays."""
    data = said.get("data")
    return {**facts(_error(said)), **(data if isinstance(data, Mapping) else {})}
