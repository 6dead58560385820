"""The MCP server: lists the tools and resources a caller may use, and answers them.

Errors of the table become tool results with `isError`, so that a planner can read and act on them; what is unexpected,
and what a resource refuses, becomes a protocol error with the table's code in its data. Transport and authentication
are `transport`'s affair. Tests: tests/integration/cloud/relay/test_mcp.py.
"""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import mcp_types as types
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from local_daemon.protocol import errors, version
from relay.mcp_server import refusals
from relay.mcp_server.addresses import ADDRESS_CHARACTERS
from relay.mcp_server.counting import HANDLED
from relay.mcp_server.resources import Resources
from relay.mcp_server.tools import Origin, Tool
from relay.ports import Planner

SCOPE_KEY = "ropeway.origin"
"""Where the transport puts who calls into the ASGI scope."""
COUNT_KEY = "ropeway.count"
"""And how the request counts."""
PROGRESS_S = 5.0
"""How often who waits is told that the call goes on."""
_LINKS_SINCE = "2025-06-18"
"""The first revision whose clients know links to resources."""
_INSTRUCTIONS = (
    "Ropeway carries work to machines next to the code. List projects, start a run, submit steps (a TaskSpec each), "
    "wait for them, read result, patch and validations, and decide gates by the digest shown."
)

Context = ServerRequestContext[dict[str, Any], Any]
logger = logging.getLogger(__name__)


def make_server(tools: Sequence[Tool], resources: Resources, planner: Planner, *, name: str) -> Server[dict[str, Any]]:
    """A server with these tools and resources, which count their calls; the planner counts what comes to none."""
    by_name: Mapping[str, Tool] = {tool.definition.name: tool for tool in tools}

    async def list_tools(ctx: Context, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        scopes = _origin(ctx).caller.scopes
        return types.ListToolsResult(tools=[tool.definition for tool in tools if tool.scope in scopes])

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = by_name.get(params.name)
        if tool is None:
            return await _missing(ctx, params.name, planner)
        arguments = params.arguments or {}
        try:
            return _told(ctx, tool, arguments, await _with_progress(ctx, tool, arguments))
        except errors.Internal as error:
            raise MCPError(types.INTERNAL_ERROR, error.detail, refusals.facts(error)) from error
        except errors.RopewayError as error:
            return _failed(error)

    async def list_resources(ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
        with refusals.as_protocol_errors(ctx.protocol_version):
            return await resources.listed(_origin(ctx), params.cursor if params else None)

    async def list_templates(
        ctx: Context, _params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=resources.templates(_origin(ctx)))

    async def read_resource(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        with refusals.as_protocol_errors(ctx.protocol_version, uri=params.uri[:ADDRESS_CHARACTERS]):
            return await resources.read(_origin(ctx), params.uri)

    server: Server[dict[str, Any]] = Server(
        name,
        version=version.__version__,
        title="Ropeway",
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        get_tool_input_schema=lambda tool: by_name[tool].definition.input_schema if tool in by_name else None,
    )
    server.middleware += [refusals.worded, _counting(planner)]
    return server


async def _with_progress(ctx: Context, tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The tool's answer; a call that takes long says every few seconds that it goes on, to who asked to be told."""
    calling = asyncio.ensure_future(tool.call(_origin(ctx), arguments))
    try:
        waited_s = 0.0
        while not (await asyncio.wait((calling,), timeout=PROGRESS_S))[0]:
            waited_s += PROGRESS_S
            await ctx.session.report_progress(waited_s, None, "waiting for the answer")
        return calling.result()
    finally:
        # Whoever asked may be gone: nobody waits for them.
        calling.cancel()


def _counting(planner: Planner) -> ServerMiddleware[dict[str, Any]]:
    """The SDK's middleware: a request that a handler would have counted, had its parameters fitted the method, is
    counted here; all others were, at the door."""

    async def counted(ctx: Context, call_next: CallNext) -> HandlerResult:
        if ctx.method not in HANDLED or ctx.request is None:
            return await call_next(ctx)
        ctx.request.scope[COUNT_KEY].leave_to_handler()
        try:
            return await call_next(ctx)
        except ValidationError:
            with refusals.as_protocol_errors(ctx.protocol_version):
                await _count(ctx, planner)
            raise

    return counted


async def _missing(ctx: Context, name: str, planner: Planner) -> types.CallToolResult:
    """What is told of a tool that there is not, once that is counted. Raises MCPError."""
    try:
        await _count(ctx, planner)
    except errors.RateLimited as refusal:
        return _failed(refusal)
    missing = errors.UnsupportedOperation(f"There is no tool {name[:100]!r}; see tools/list.")
    raise MCPError(types.INVALID_PARAMS, missing.detail, refusals.facts(missing))


async def _count(ctx: Context, planner: Planner) -> None:
    origin = _origin(ctx)
    await planner.count(origin.caller, ctx.method.replace("/", "."), client_address=origin.client_address)


def _origin(ctx: Context) -> Origin:
    origin = ctx.request.scope[SCOPE_KEY] if ctx.request is not None else None
    assert isinstance(origin, Origin)
    return origin


def _told(ctx: Context, tool: Tool, arguments: Mapping[str, Any], answer: dict[str, Any]) -> types.CallToolResult:
    content: list[types.ContentBlock] = [
        types.TextContent(type="text", text=json.dumps(answer, ensure_ascii=False, separators=(",", ":")))
    ]
    if tool.links is not None and ctx.protocol_version >= _LINKS_SINCE:
        content += tool.links(arguments, answer)
    return types.CallToolResult(content=content, structured_content=answer)


def _failed(error: errors.RopewayError) -> types.CallToolResult:
    facts = refusals.facts(error)
    text = f"{error.code}: {error.detail}"
    if error.attributes:
        # A client may show its model the text and nothing else.
        text += "\n" + json.dumps(error.attributes, ensure_ascii=False, default=str)
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)], structured_content={"error": facts}, is_error=True
    )
