"""The bare MCP server: the SDK's low-level server with one tool that answers at once, stateless, as ours is mounted.

daphne benchmarks.floor.mcp_server:application
"""

import asyncio
import json
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from benchmarks.floor.daemon import ANSWER

_managers: list[StreamableHTTPSessionManager] = []
_tasks: list["asyncio.Task[None]"] = []


async def _list_tools(_ctx: Any, _params: Any) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[types.Tool(name="runs_get", input_schema={"type": "object"})])


async def _call_tool(_ctx: Any, _params: Any) -> types.CallToolResult:
    text = types.TextContent(type="text", text=json.dumps(ANSWER))
    return types.CallToolResult(content=[text], structured_content=ANSWER)


async def _host(manager: StreamableHTTPSessionManager, is_ready: asyncio.Event) -> None:
    async with manager.run():
        is_ready.set()
        await asyncio.Event().wait()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """One request, handed to the SDK."""
    if not _managers:
        manager = StreamableHTTPSessionManager(
            Server("floor", on_list_tools=_list_tools, on_call_tool=_call_tool), stateless=True
        )
        is_ready = asyncio.Event()
        _tasks.append(asyncio.get_running_loop().create_task(_host(manager, is_ready)))
        await is_ready.wait()
        _managers.append(manager)
    await _managers[0].handle_request(scope, receive, send)
