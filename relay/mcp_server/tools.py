"""MCP tools out of the table of operations: one tool an operation, its fields flat.

A tool takes `project_id`, the operation's ids, and the fields of its query and body side by side (a test proves that no
names collide); a place is chosen with `location`, a repeat made safe with `idempotency_key`. Content comes in pieces.
It renders and splits; the Planner decides. Tests: tests/contract/test_tools.py,
tests/integration/cloud/relay/test_mcp.py.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import mcp_types as types
from pydantic import BaseModel

from local_daemon.protocol import errors, ids, limits, operations, origins
from local_daemon.protocol.operation import PARAMETER_PREFIX, Operation
from local_daemon.protocol.scopes import Scope
from relay import contents
from relay.calls import Content
from relay.mcp_server.addresses import Address, Kind
from relay.ports import Asked, Caller, Planner

PIECE_BYTES = 256 * limits.KIB
"""How much content one answer carries at most."""
RESOURCE_BYTES = limits.MIB
"""The longest content that is handed out whole, as a resource; tools hand out longer ones in pieces."""
_UUID = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_PROJECT = {"type": "string", "pattern": _UUID, "description": "Which project; projects_list has them."}
_LOCATION = {
    "type": "string",
    "description": "Where, if the project is in several places: a location's, repository's or instance's id.",
}
_KEY = {
    "type": "string",
    "maxLength": 200,
    "description": "Repeating a call with the same key answers what the first one did, instead of doing it again.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a tool call came from, as the transport knows it."""

    caller: Caller
    client_address: str | None = None
    traceparent: str | None = None


ToolCall = Callable[[Origin, Mapping[str, Any]], Awaitable[dict[str, Any]]]
Links = Callable[[Mapping[str, Any], Mapping[str, Any]], list[types.ResourceLink]]
"""What of an answer can be read as a resource, from the tool's arguments and its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool, the scope without which it is not shown, what answers it, and what its answers point at."""

    definition: types.Tool
    scope: Scope
    call: ToolCall
    links: Links | None = None


def relay_tools(planner: Planner) -> list[Tool]:
    """A tool for every operation that may be asked of a machine."""
    return [
        Tool(
            definition=definition_of(operation),
            scope=operation.scope,
            call=_calling(operation, planner),
            links=LINKS.get(operation.name),
        )
        for operation in operations.REMOTE_OPERATIONS.values()
    ]


@cache
def definition_of(operation: Operation) -> types.Tool:
    """How a tool for a machine's operation is described to a planner. Made once: it takes a quarter of a second for
    them all, and two servers of a process show the same."""
    properties: dict[str, Any] = {"project_id": _PROJECT, "location": _LOCATION}
    required = ["project_id"]
    for name in _own_parameters(operation):
        prefix = PARAMETER_PREFIX[name]
        properties[name] = {"type": "string", "pattern": ids.pattern_for(prefix)}
        required.append(name)
    if operation.mutates:
        properties["idempotency_key"] = _KEY
    return described(operation, properties, required)


def described(
    operation: Operation, properties: dict[str, Any], required: list[str], *, is_repeatable: bool = False
) -> types.Tool:
    """An operation as a tool; its query's and body's fields are added to the properties given. `is_repeatable`: it
    changes something, but doing the same again changes nothing more."""
    definitions: dict[str, Any] = {}
    for model in (operation.query, operation.request):
        if model is not None:
            schema = model.model_json_schema()
            definitions.update(schema.get("$defs", {}))
            properties.update(schema.get("properties", {}))
            required.extend(schema.get("required", []))
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    if definitions:
        schema["$defs"] = definitions
    untitle(schema)
    return types.Tool(
        name=operation.tool_name,
        title=operation.title,
        description=operation.description,
        input_schema=schema,
        output_schema=_output_schema(operation),
        annotations=types.ToolAnnotations(
            title=operation.title,
            read_only_hint=not operation.mutates,
            destructive_hint=operation.is_destructive,
            # A read may be repeated; so may a change that carries a key, but not every one does.
            idempotent_hint=is_repeatable or not operation.mutates,
            open_world_hint=False,
        ),
    )


def untitle(schema: dict[str, Any], *, is_answer: bool = False) -> None:
    """Take away the titles that models make of their fields' names, and of answers what a field would be if it were
    left out: every planner that lists the tools reads them all, and they say nothing."""
    schema.pop("title", None)
    if is_answer:
        schema.pop("default", None)
    for word, inner in schema.items():
        if word in _OF_NAMES:
            named = list(inner.values())
        else:
            named = [] if word in _OF_VALUES else inner if isinstance(inner, list) else [inner]
        for one in named:
            if isinstance(one, dict):
                untitle(one, is_answer=is_answer)


_OF_NAMES = frozenset({"properties", "$defs"})
"""Where names of our own stand, `title` perhaps among them."""
_OF_VALUES = frozenset({"default", "const", "enum", "examples", "required"})


_ERROR = {"type": "object"}


def _output_schema(operation: Operation) -> dict[str, Any]:
    """Of an answer, or of a refusal: the official TypeScript client holds refusals to it too, and would hide ours."""
    schema = operation.response.model_json_schema(mode="serialization")
    if operation.streams:
        schema["properties"]["next_offset"] = {
            "anyOf": [{"type": "integer"}, {"type": "null"}],
            "description": "Where the next piece begins; null after the last.",
        }
    # Absent rather than null: an optional member may be missing from an answer.
    required = [name for name in schema.pop("required", []) if "default" not in schema["properties"].get(name, {})]
    untitle(schema, is_answer=True)
    schema["properties"]["error"] = _ERROR
    schema["anyOf"] = [{"required": required}, {"required": ["error"]}]
    return schema


def _own_parameters(operation: Operation) -> list[str]:
    return [name for name in operation.parameters if name != "repository_id"]


def _calling(operation: Operation, planner: Planner) -> ToolCall:
    async def call(origin: Origin, arguments: Mapping[str, Any]) -> dict[str, Any]:
        try:
            asked = asked_of(operation, origin, arguments)
        except errors.InvalidRequest:
            # It never comes to the funnel, which would have counted it.
            await planner.count(origin.caller, operation.name, client_address=origin.client_address)
            raise
        answered = await planner.call(asked)
        content = answered.answer.content
        if content is None:
            body = answered.answer.body
            view = dict(body) if isinstance(body, dict) else {"answer": body}
        else:
            view = await _piece(content, asked)
        if operation.streams:
            view["next_offset"] = _next_offset(view)
        return view

    return call


def _linked_result(arguments: Mapping[str, Any], answer: Mapping[str, Any]) -> list[types.ResourceLink]:
    if not isinstance(answer.get("patch"), dict) or not _is_readable(answer["patch"]):
        return []
    return [_link(Kind.PATCH, arguments, answer.get("step_id"), answer["patch"], name="patch")]


def _linked_artifacts(arguments: Mapping[str, Any], answer: Mapping[str, Any]) -> list[types.ResourceLink]:
    found = [row for row in answer.get("items") or () if isinstance(row, dict) and _is_readable(row)]
    return [_link(Kind.ARTIFACT, arguments, row.get("artifact_id"), row, name=row.get("name")) for row in found]


def _is_readable(artifact: Mapping[str, Any]) -> bool:
    """Whether its bytes are still there, and not too many to be read whole."""
    size_bytes = artifact.get("size_bytes")
    return artifact.get("expired_at") is None and not (isinstance(size_bytes, int) and size_bytes > RESOURCE_BYTES)


def _link(
    kind: Kind, arguments: Mapping[str, Any], id: Any, artifact: Mapping[str, Any], *, name: Any
) -> types.ResourceLink:
    address = Address(
        kind=kind, project_id=str(arguments["project_id"]), id=str(id), location=arguments.get("location") or None
    )
    media_type, size_bytes = artifact.get("media_type"), artifact.get("size_bytes")
    return types.ResourceLink(
        uri=str(address),
        name=str(name or kind.value),
        mime_type=media_type if isinstance(media_type, str) else None,
        size=size_bytes if isinstance(size_bytes, int) else None,
    )


LINKS: Mapping[str, Links] = MappingProxyType({"steps.result": _linked_result, "artifacts.list": _linked_artifacts})
"""Operations whose answers point at what can be read as a resource."""


async def _piece(content: Content, asked: Asked) -> dict[str, Any]:
    piece = await content.read(max_bytes=PIECE_BYTES)
    return contents.content_view(content.head, piece, artifact_id=asked.parameters["artifact_id"])


def _next_offset(view: Mapping[str, Any]) -> int | None:
    end: int = view["offset"] + view["length"]
    return end if end < view["size_bytes"] else None


def asked_of(operation: Operation, origin: Origin, arguments: Mapping[str, Any]) -> Asked:
    """A tool's flat arguments as a call. Raises InvalidRequest for one that the tool does not take."""
    given = dict(arguments)
    project_id, location = given.pop("project_id", None), given.pop("location", None)
    key = given.pop("idempotency_key", None) if operation.mutates else None
    for name, value in (("project_id", project_id), ("location", location or ""), ("idempotency_key", key or "")):
        if not isinstance(value, str):
            raise errors.InvalidRequest(f"{name} is a string.", errors=[{"field": name, "problem": "not a string"}])
    parameters = {name: given.pop(name, "") for name in _own_parameters(operation)}
    query = _taken(given, operation.query)
    body = _taken(given, operation.request)
    if given:
        names = sorted(given)
        raise errors.InvalidRequest(
            f"{operation.tool_name} does not take: {', '.join(names)[:200]}.",
            errors=[{"field": name[:100], "problem": "not an argument of this tool"} for name in names[:20]],
        )
    if operation.streams:
        query = _within_piece(query)
    return Asked(
        credential=origin.caller,
        operation=operation.name,
        project_id=str(project_id),
        parameters={name: value if isinstance(value, str) else "" for name, value in parameters.items()},
        query=query,
        body=body if operation.request is not None else None,
        location=location or None,
        idempotency_key=key,
        traceparent=origin.traceparent,
        client_address=origin.client_address,
    )


def _taken(given: dict[str, Any], model: type[BaseModel] | None) -> dict[str, Any]:
    names = origins.argument_names(model) if model is not None else ()
    return {name: given.pop(name) for name in names if name in given}


def _within_piece(query: dict[str, Any]) -> dict[str, Any]:
    length = query.get("length")
    if length is None or (isinstance(length, int) and length > PIECE_BYTES):
        return {**query, "length": PIECE_BYTES}
    return query
