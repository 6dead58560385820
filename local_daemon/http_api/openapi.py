"""The OpenAPI 3.1 document of everything the daemon answers, made from the table of operations.

What is beside the table (streams, liveness, JSON-RPC) is described here by hand, as short as it is. Pure. Tests:
tests/unit/daemon/http_api/test_openapi.py, and tests/integration/daemon/test_openapi_conformance.py, which tries the
daemon with it.
"""

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from local_daemon.http_api import routing
from local_daemon.protocol import errors, ids, messages, version
from local_daemon.protocol.operation import PARAMETER_PREFIX, Operation
from local_daemon.protocol.operations import OPERATIONS

_REFERENCE = "#/components/schemas/{model}"
_DESCRIPTION = (
    "Work next to the code, and the record of it. Lists are paged: `next_cursor` of an answer is the `cursor` of the "
    "next request, null after the last. Errors are problems (RFC 9457) with a `code` of their own."
)
_HOW_TO_SHOW_IT = "What stands in the file `token` of the daemon's home."
_POSITION = {"type": "integer", "minimum": 0}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "retryable"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "enum": sorted(errors.TABLE)},
        "retryable": {"type": "boolean"},
        "retry_after_s": {"type": "number"},
        "attributes": {"type": "object"},
    },
}

_PROBLEMS: dict[str, Any] = {
    "default": {
        "description": "a problem",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


def document_render() -> bytes:
    """The document as JSON."""
    return json.dumps(document_build(), separators=(",", ":")).encode()


def document_build() -> dict[str, Any]:
    """The document as a dictionary."""
    _, definitions = models_json_schema([(model, mode) for model, mode in _models()], ref_template=_REFERENCE)
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
            "schemas": {**definitions.get("$defs", {}), "Problem": _PROBLEM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": _HOW_TO_SHOW_IT}},
        },
    }


def _models() -> list[tuple[type[BaseModel], Any]]:
    requests = {operation.request for operation in OPERATIONS.values() if operation.request is not None}
    answers = {operation.response for operation in OPERATIONS.values()}
    return sorted(
        [(model, "validation") for model in requests] + [(model, "serialization") for model in answers],
        key=lambda pair: pair[0].__name__,
    )


def _operation(operation: Operation) -> dict[str, Any]:
    document: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.title,
        "description": operation.description,
        "tags": [operation.name.partition(".")[0]],
        "parameters": [_path_parameter(name) for name in operation.parameters]
        + _query_parameters(operation.query)
        + _header_parameters(operation),
        "responses": {
            str(operation.success_status): {"description": "the answer", "content": _content(operation)},
            **_PROBLEMS,
        },
    }
    if operation.success_status != 200:
        document["responses"]["200"] = {"description": "it was there already", "content": _content(operation)}
    if operation.streams:
        document["responses"]["206"] = {"description": "a range", "content": _content(operation)}
    if operation.request is not None:
        schema = {"$ref": _REFERENCE.format(model=operation.request.__name__)}
        document["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return document


def _content(operation: Operation) -> dict[str, Any]:
    if operation.streams:
        return {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(model=operation.response.__name__)}}}


def _path_parameter(name: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": ids.pattern_for(PARAMETER_PREFIX[name])}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _header_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.mutates:
        schema = {"type": "string", "pattern": ids.pattern_for(ids.IdPrefix.CALL)}
        return [
            _header("Ropeway-Call-Id", schema, "Calling again with the same id repeats the answer, not the effect.")
        ]
    if operation.streams:
        return [_header("Range", {"type": "string"}, "One range of bytes, as in RFC 9110.")]
    return []


def _header(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


def _query_parameters(model: type[BaseModel] | None) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    return [
        {"name": name, "in": "query", "required": False, "schema": _inlined(field, definitions)}
        for name, field in schema["properties"].items()
    ]


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return {key: _inlined(value, definitions) for key, value in schema.items()}
    return [_inlined(item, definitions) for item in schema] if isinstance(schema, list) else schema


def _beside_the_table() -> dict[str, dict[str, Any]]:
    repository = _path_parameter("repository_id")
    step_log = OPERATIONS["steps.log"]
    events, log = routing.PREFIX + OPERATIONS["events.list"].path, routing.PREFIX + step_log.path
    last_id = _header("Last-Event-ID", {"type": "string"}, "Go on after the last event that was seen.")
    return {
        "/livez": {"get": _plain("livez", "Whether the daemon runs", "text/plain", security=[])},
        routing.PREFIX + "/openapi.json": {"get": _plain("openapi", "This document", "application/json")},
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
                parameters=[repository, *_query_parameters(messages.EventFollowQuery), last_id],
            )
        },
        log + "/stream": {
            "get": _plain(
                "steps.log.stream",
                "Follow a step's output: `chunk` events of a LogChunk each, then `end`",
                "text/event-stream",
                parameters=[
                    *(_path_parameter(name) for name in step_log.parameters),
                    *_query_parameters(step_log.query),
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
        "responses": {"200": {"description": "the answer", "content": {media_type: {}}}, **_PROBLEMS},
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
            "400": {"description": "not a message", "content": {**content, **_PROBLEMS["default"]["content"]}},
            **_PROBLEMS,
        },
    }
