"""The cloud's own MCP tools, from its table of operations: work over all projects, schedules, fleet, usage and audit.

The table holds none that administers: minting a token or claiming a machine is a person's act, for the console, the
HTTP API and `cloudctl`, and a program that reads untrusted text does neither. Tests: tests/contract/test_tools.py,
tests/integration/cloud/relay/test_mcp.py.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import mcp_types as types

from cloud.operations.operation import CloudOperation
from cloud.operations.table import TABLE
from relay.mcp_server.tools import Origin, Tool, ToolCall, described
from relay.ports import Planner


def cloud_tools(planner: Planner) -> list[Tool]:
    """A tool for every cloud operation."""
    return [
        Tool(
            definition=_definition_of(row),
            scope=row.operation.scope,
            call=_performing(row.operation.name, planner),
        )
        for row in TABLE.values()
    ]


@cache
def _definition_of(row: CloudOperation) -> types.Tool:
    return described(row.operation, {}, [], is_repeatable=row.is_repeatable)


def _performing(operation: str, planner: Planner) -> ToolCall:
    async def call(origin: Origin, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return await planner.perform(origin.caller, operation, arguments, client_address=origin.client_address)

    return call
