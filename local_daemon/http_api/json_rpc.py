"""JSON-RPC over HTTP: the MCP endpoint, and the older one-call bridge beside it.

Carries one message a request and knows nothing of what is in it: `mcp_server` does. Who may enter was checked before.
No stream is ever opened from here, so GET is refused, as the protocol allows. Called by `app`.
Tests: tests/integration/daemon/test_mcp.py.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local_daemon.http_api import requests, responses
from local_daemon.http_api.requests import Receive, Send
from local_daemon.protocol import errors, wire

MCP = "/mcp"
CALL = "/mcp/call"
_PARSE_ERROR = -32700


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDoors:
    """What answers messages: MCP's (None: it wants no answer), in the revision that its client says it speaks, and the
    bridge's envelopes. `unread` is the bridge's answer to what is no JSON; `versions` are the revisions of MCP that are
    spoken."""

    message: Callable[[Any, str, str | None], Awaitable[dict[str, Any] | None]]
    envelope: Callable[[Any, str], Awaitable[dict[str, Any]]]
    unread: Callable[[], dict[str, Any]]
    versions: tuple[str, ...]


async def message_answer(doors: MessageDoors, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
    """Answer one MCP message. Raises InvalidRequest for a revision that isn't spoken."""
    spoken = headers.get("mcp-protocol-version")
    if spoken is not None and spoken not in doors.versions:
        raise errors.InvalidRequest(f"MCP-Protocol-Version: spoken here are {', '.join(doors.versions)}")
    _json_require(headers)
    content = await requests.body_read(headers, receive)
    try:
        message = wire.json_read(content)
    except ValueError as error:
        refused = {"jsonrpc": "2.0", "id": None, "error": {"code": _PARSE_ERROR, "message": str(error)}}
        await _document_send(send, refused, status=400)
        return
    answer = await doors.message(message, requests.actor_of(headers), spoken)
    if answer is None:
        await responses.bytes_send(send, b"", status=202, media_type="application/json")
        return
    # No id: the message itself was wrong.
    await _document_send(send, answer, status=400 if answer["id"] is None else 200)


async def envelope_answer(doors: MessageDoors, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
    """Answer one call of the older bridge, always with status 200."""
    _json_require(headers)
    content = await requests.body_read(headers, receive)
    try:
        envelope = wire.json_read(content)
    except ValueError:
        await _document_send(send, doors.unread(), status=200)
        return
    await _document_send(send, await doors.envelope(envelope, requests.actor_of(headers)), status=200)


def _json_require(headers: Mapping[str, str]) -> None:
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise errors.InvalidRequest("Content-Type: must be application/json")


async def _document_send(send: Send, document: dict[str, Any], *, status: int) -> None:
    content = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    await responses.bytes_send(send, content, status=status, media_type="application/json")
