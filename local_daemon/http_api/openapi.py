"""The OpenAPI 3.1 document of everything the daemon answers, made from the table of operations.

What is beside the table (streams, liveness, JSON-RPC) is described here by hand, as short as it is. Pure. Tests:
tests/unit/daemon/http_api/test_openapi.py, and tests/integration/daemon/test_openapi_conformance.py, which tries the
daemon with it.
"""

import json
from typing import Any

from local_daemon.http_api import routing
from local_daemon.protocol import idempotency, ids, messages, openapi, version
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.operations import OPERATIONS

_DESCRIPTION = (
    "Work next to the code, and the record of it. Lists are paged: `next_cursor` of an answer is the `cursor` of the "
    "next request, null after the last. Errors are problems (RFC 9457) with a `code` of their own."
)
_HOW_TO_SHOW_IT = "What stands in the file `token` of the daemon's home."
_POSITION = {"type": "integer", "minimum": 0}


def document_render() -> bytes:
    """The document as JSON."""
    return json.dumps(document_build(), separators=(",", ":")).encode()


def document_build() -> dict[str, Any]:
    """The document as a dictionary."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS.values():
        paths.setdefault(routing.PREFIX + operation.path, {})[operation.method.lower()] = _operation(operation)
    for path, described in _beside_the_table().items():
        paths.setdefault(path, {}).update(described)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ropeway daemon", "version": version.__version__, "description": _DESCRIPTION},
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "schemas": openapi.schemas_of(OPERATIONS.values()),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": _HOW_TO_SHOW_IT}},
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    parameters = [openapi.path_parameter(name) for name in operation.parameters]
    parameters += openapi.query_parameters(operation.query)
    document = openapi.operation_described(operation, parameters=parameters + _header_parameters(operation))
    if operation.streams:
        document["responses"]["304"] = {"description": "the content that If-None-Match names; it never changes"}
    return document


def _header_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.mutates:
        return [
            openapi.header_parameter(
                "Idempotency-Key",
                {"type": "string", "pattern": idempotency.KEY_PATTERN},
                "Calling again with the same key and body repeats the answer, not the effect, for 24 hours.",
            ),
            openapi.header_parameter(
                "Ropeway-Call-Id",
                {"type": "string", "pattern": ids.pattern_for(ids.IdPrefix.CALL)},
                "The same by the call's own id, in place of a key.",
            ),
        ]
    if not operation.streams:
        return []
    held = openapi.header_parameter("If-None-Match", {"type": "string"}, "The ETag of content that the caller has.")
    return [openapi.range_header(), held]


def _beside_the_table() -> dict[str, dict[str, Any]]:
    repository = openapi.path_parameter("repository_id")
    step_log = OPERATIONS["steps.log"]
    events, log = routing.PREFIX + OPERATIONS["events.list"].path, routing.PREFIX + step_log.path
    last_id = openapi.header_parameter("Last-Event-ID", {"type": "string"}, "Go on after the last event that was seen.")
    return {
        "/livez": {"get": _plain("livez", "Whether the daemon runs", "text/plain", security=[])},
        routing.PREFIX + "/openapi.json": {"get": _plain("openapi", "This document", "application/json")},
        routing.PREFIX + "/instance/executors/stream": {
            "get": _plain(
                "instance.executors.lines",
                "The names of the executors that can be used, now and each time others can, as lines of JSON",
                "application/x-ndjson",
            )
        },
        routing.PREFIX + "/events/stream": {
            "get": _plain(
                "events.lines",
                "Follow several repositories' events, as lines of JSON",
                "application/x-ndjson",
                parameters=[_repeated("repository_id", repository["schema"]), _repeated("after_seq", _POSITION)],
            )
        },
        events + "/stream": {
            "get": _plain(
                "events.stream",
                "Follow a repository's events",
                "text/event-stream",
                parameters=[repository, *openapi.query_parameters(messages.EventFollowQuery), last_id],
            )
        },
        log + "/stream": {
            "get": _plain(
                "steps.log.stream",
                "Follow a step's output: `chunk` events of a LogChunk each, then `end`",
                "text/event-stream",
                parameters=[
                    *(openapi.path_parameter(name) for name in step_log.parameters),
                    *openapi.query_parameters(step_log.query),
                    last_id,
                ],
            )
        },
        "/mcp": {"post": _json_rpc("mcp", "One message of the Model Context Protocol, revision 2025-11-25 or before")},
        "/mcp/call": {"post": _json_rpc("mcp.call", "One tool call under the names of older bridges")},
    }


def _plain(
    name: str,
    summary: str,
    media_type: str,
    *,
    parameters: list[dict[str, Any]] | None = None,
    security: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    document = {
        "operationId": name,
        "summary": summary,
        "parameters": parameters or [],
        "responses": {"200": {"description": "the answer", "content": {media_type: {}}}, **openapi.PROBLEMS},
    }
    return document if security is None else {**document, "security": security}


def _repeated(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    many = {"type": "array", "items": schema, "minItems": 1, "maxItems": 500}
    return {"name": name, "in": "query", "required": True, "schema": many, "explode": True}


def _json_rpc(name: str, summary: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {"description": "the answer", "content": content},
            "202": {"description": "a notification was taken"},
            "400": {"description": "not a message", "content": {**content, **openapi.PROBLEMS["default"]["content"]}},
            **openapi.PROBLEMS,
        },
    }
