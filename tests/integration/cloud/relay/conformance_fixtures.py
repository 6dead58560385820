"""What the MCP conformance suite asks a server for: its tools and resources, on our server and our transport.

Only kinds of thing that our own tools and resources give: text, errors, progress, JSON Schema, documents and bytes.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import mcp_types as types

from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope
from relay.mcp_server.tools import Origin, Tool

_ADDRESS = {
    "$anchor": "addressDef",
    "type": "object",
    "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
}
_SCHEMA_2020 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": _ADDRESS},
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
_NOTHING = {"type": "object", "properties": {}}
_REGION = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    "required": ["region"],
}


async def _text(_origin: Origin, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"text": "This is a simple text response for testing."}


async def _error(_origin: Origin, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    raise errors.InvalidRequest("This tool intentionally returns an error for testing")


async def _slow(_origin: Origin, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(0.5)
    return {"text": "done"}


def _tool(
    name: str, call: Callable[[Origin, Mapping[str, Any]], Awaitable[dict[str, Any]]], schema: dict[str, Any]
) -> Tool:
    definition = types.Tool(name=name, description=f"The suite's {name}.", input_schema=schema)
    return Tool(definition=definition, scope=Scope.PROJECTS_READ, call=call)


TOOLS = [
    _tool("test_simple_text", _text, _NOTHING),
    _tool("test_error_handling", _error, _NOTHING),
    _tool("test_tool_with_progress", _slow, _NOTHING),
    _tool("json_schema_2020_12_tool", _text, _SCHEMA_2020),
    _tool("test_header_tool", _text, _REGION),
]


class FixtureResources:
    """The suite's resources, in the place of ours."""

    def templates(self, _origin: Origin) -> list[types.ResourceTemplate]:
        return [
            types.ResourceTemplate(
                name="template", uri_template="test://template/{id}/data", mime_type="application/json"
            )
        ]

    async def listed(self, _origin: Origin, _cursor: str | None) -> types.ListResourcesResult:
        found = [
            types.Resource(name="text", uri="test://static-text", mime_type="text/plain"),
            types.Resource(name="binary", uri="test://static-binary", mime_type="image/png"),
        ]
        return types.ListResourcesResult(resources=found)

    async def read(self, _origin: Origin, uri: str) -> types.ReadResourceResult:
        match uri:
            case "test://static-text":
                held = types.TextResourceContents(uri=uri, mime_type="text/plain", text="This is the content.")
            case "test://static-binary":
                blob = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
                return types.ReadResourceResult(
                    contents=[types.BlobResourceContents(uri=uri, mime_type="image/png", blob=blob)]
                )
            case "test://template/123/data":
                held = types.TextResourceContents(uri=uri, mime_type="application/json", text='{"id":"123"}')
            case _:
                raise errors.NotFound
        return types.ReadResourceResult(contents=[held])
