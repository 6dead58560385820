"""MCP tools out of the table of operations: one tool an operation, its fields flat, everything the operator may do.

A tool takes the operation's ids and the fields of its query and body side by side (a test proves that no names
collide); content comes in pieces. Deliberately without the MCP SDK, which would cost the daemon as much memory as all
the rest of it (ADR 0009). Called by `server`. Tests: tests/unit/daemon/mcp_server/test_tools.py.
"""

import base64
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from local_daemon.operations import registry
from local_daemon.operations.context import ContentStream, OperationContext
from local_daemon.protocol import errors, faults, idempotency, ids, limits, messages, origins
from local_daemon.protocol.operation import PARAMETER_PREFIX, Operation
from local_daemon.protocol.operations import OPERATIONS

PIECE_BYTES = 256 * limits.KIB
"""How much content one answer carries at most."""

KEY_ARGUMENT = "idempotency_key"
_KEY = {
    "type": "string",
    "pattern": idempotency.KEY_PATTERN,
    "description": "Repeating a call with the same key answers what the first one did, instead of doing it again.",
}
_ERROR: dict[str, Any] = {
    "type": "object",
    "description": "Where isError: what went wrong, and whether the same call may succeed later.",
    "properties": {"code": {"type": "string"}, "detail": {"type": "string"}, "retryable": {"type": "boolean"}},
    "required": ["code", "detail", "retryable"],
}

BY_NAME: Mapping[str, Operation] = {operation.tool_name: operation for operation in OPERATIONS.values()}
"""Every tool's operation."""


@cache
def definitions() -> tuple[dict[str, Any], ...]:
    """Every tool, as `tools/list` describes it."""
    return tuple(_definition(operation) for operation in OPERATIONS.values())


async def tool_call(
    context: OperationContext, operation: Operation, arguments: Mapping[str, Any], *, actor: str
) -> dict[str, Any]:
    """Carry a tool call out. Raises the error table's errors, also for arguments that the tool does not take."""
    given = dict(arguments)
    key = given.pop(KEY_ARGUMENT, None) if operation.mutates else None
    if not isinstance(key, str | None):
        raise errors.InvalidRequest(
            f"{KEY_ARGUMENT} is a string.", errors=[{"field": KEY_ARGUMENT, "problem": "not a string"}]
        )
    parameters = {name: given.pop(name, "") for name in operation.parameters}
    query = _taken(given, operation.query)
    body = _taken(given, operation.request)
    if given:
        raise errors.InvalidRequest(
            f"{operation.tool_name} does not take: {', '.join(sorted(given))[:200]}.",
            errors=[{"field": name[:100], "problem": "not an argument of this tool"} for name in sorted(given)[:20]],
        )
    if operation.streams:
        query = _within_piece(query)
    answer = await registry.call_operation(
        context,
        operation,
        parameters={name: value if isinstance(value, str) else "" for name, value in parameters.items()},
        query=_message(operation.query, query),
        body=_message(operation.request, body),
        call_id=None if key is None else idempotency.call_id_of_key(key, actor=actor),
        actor=actor,
    )
    if isinstance(answer, ContentStream):
        return await _piece(answer, artifact_id=parameters["artifact_id"])
    return answer.model_dump(mode="json")


def _definition(operation: Operation) -> dict[str, Any]:
    properties: dict[str, Any] = {
        name: {"type": "string", "pattern": ids.pattern_for(PARAMETER_PREFIX[name])} for name in operation.parameters
    }
    required, definitions = list(operation.parameters), dict[str, Any]()
    for model in (operation.query, operation.request):
        if model is not None:
            schema = model.model_json_schema()
            definitions.update(schema.get("$defs", {}))
            properties.update(schema.get("properties", {}))
            required.extend(schema.get("required", []))
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    if operation.mutates:
        properties[KEY_ARGUMENT] = _KEY
    if definitions:
        schema["$defs"] = definitions
    return {
        "name": operation.tool_name,
        "title": operation.title,
        "description": operation.description,
        "inputSchema": schema,
        "outputSchema": _output_schema(operation),
        "annotations": {
            "title": operation.title,
            "readOnlyHint": not operation.mutates,
            "destructiveHint": operation.is_destructive,
            "idempotentHint": not operation.mutates,
            "openWorldHint": False,
        },
    }


def _output_schema(operation: Operation) -> dict[str, Any]:
    """Of an answer, or of an error: there are clients that hold errors to it too, and would hide what one says."""
    schema = operation.response.model_json_schema(mode="serialization")
    if operation.streams:
        schema["properties"]["next_offset"] = {
            "anyOf": [{"type": "integer"}, {"type": "null"}],
            "description": "Where the next piece begins; null after the last.",
        }
    schema["properties"]["error"] = _ERROR
    schema["anyOf"] = [{"required": schema.pop("required", [])}, {"required": ["error"]}]
    return schema


def _taken(given: dict[str, Any], model: type[BaseModel] | None) -> dict[str, Any]:
    names = origins.argument_names(model) if model is not None else ()
    return {name: given.pop(name) for name in names if name in given}


def _message(model: type[BaseModel] | None, fields: dict[str, Any]) -> BaseModel | None:
    if model is None:
        return None
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise errors.InvalidRequest("arguments: not valid", errors=faults.field_faults(error)) from None


def _within_piece(query: dict[str, Any]) -> dict[str, Any]:
    length = query.get("length")
    is_short = isinstance(length, int) and length <= PIECE_BYTES
    return query if is_short else {**query, "length": PIECE_BYTES}


async def _piece(content: ContentStream, *, artifact_id: str) -> dict[str, Any]:
    """A piece of content as text where it is text, else as base64."""
    piece = b"".join([chunk async for chunk in content.chunks])
    end = content.offset + len(piece)
    view = messages.Content(
        artifact_id=artifact_id,
        media_type=content.media_type,
        size_bytes=content.size_bytes,
        sha256=content.sha256,
        offset=content.offset,
        length=len(piece),
        **_readable(piece),
    )
    return {**view.model_dump(mode="json"), "next_offset": end if end < content.size_bytes else None}


def _readable(piece: bytes) -> dict[str, str]:
    try:
        return {"text": piece.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(piece).decode("ascii")}
