"""The cloud's own MCP tools: what may be read of tenants, machines and the audit, from the cloud's table of operations.

Those that change something are not here: minting a token or claiming a machine is a person's act, for the console and
`cloudctl`. Tests: tests/integration/cloud/relay/test_mcp.py.
"""

from collections.abc import Mapping
from typing import Any

from cloud.operations.table import TABLE
from relay.mcp_server.tools import Origin, Tool, ToolCall, described
from relay.ports import Planner


def cloud_tools(planner: Planner) -> list[Tool]:
    """A tool for every cloud operation that only reads."""
    return [
        Tool(
            definition=described(row.operation, {}, []),
            scope=row.operation.scope,
            call=_performing(row.operation.name, planner),
        )
        for row in TABLE.values()
        if not row.operation.mutates
    ]


def _performing(operation: str, planner: Planner) -> ToolCall:
    async def call(origin: Origin, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return await planner.perform(origin.caller, operation, arguments)

    return call
