"""The demo's planner: the official MCP client, and one story told with it.

It knows only a URL and a token, as any planner would; everything else it learns from answers. What it sees is checked
as it goes: the first thing that is not true ends the demo. Called by `deploy/demo/__main__.py`.
"""

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import mcp
from mcp.client.streamable_http import streamable_http_client


class ToolFailed(Exception):
    """A tool answered with an error; the text is the error's."""

    def __init__(self, tool: str, error: dict[str, Any]) -> None:
        super().__init__(f"{tool}: {error.get('code', 'error')}: {error.get('detail', '')}")
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """A planner with an open MCP connection, working on one project."""

    client: mcp.Client
    project_id: str = ""

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool (for the project, where there is one) and return its structured answer. Raises ToolFailed."""
        if self.project_id:
            arguments = {"project_id": self.project_id, **arguments}
        result = await self.client.call_tool(tool, arguments)
        answer = result.structured_content or {}
        if result.is_error:
            raise ToolFailed(tool, answer.get("error", answer))
        return dict(answer)

    async def content(self, artifact: dict[str, Any]) -> bytes:
        """An artifact's bytes, fetched piece by piece and checked against the digest on record."""
        content = b""
        while len(content) < artifact["size_bytes"]:
            piece = await self.call("artifacts_content", artifact_id=artifact["artifact_id"], offset=len(content))
            text, encoded = piece.get("text"), piece.get("base64")
            content += text.encode() if text is not None else base64.b64decode(encoded or "")
        digest = hashlib.sha256(content).hexdigest()
        if digest != artifact["sha256"]:
            raise ToolFailed("artifacts_content", {"detail": f"{artifact['name']} does not match its digest"})
        return content


def calls_of_ones_own(url: str, *, token: str, project_id: str) -> tuple[str, ...]:
    """Lines to paste into a shell: the token, a call over HTTP, and a planner that speaks MCP."""
    shown = '-H "Authorization: Bearer $ROPEWAY_TOKEN"'
    return (
        f"export ROPEWAY_TOKEN={token}",
        f"curl -sS {shown} {url}/api/v2/projects",
        f"curl -sS {shown} -H 'Content-Type: application/json' "
        f"""-d '{{"objective": "Try it myself."}}' {url}/api/v2/projects/{project_id}/runs""",
        f"claude mcp add --transport http ropeway {url}/api/cloud/v1/mcp "
        '--header "Authorization: Bearer $ROPEWAY_TOKEN"',
    )


@asynccontextmanager
async def connect(url: str, token: str) -> AsyncIterator[mcp.Client]:
    """An MCP client at `url` that presents `token`."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        mcp.Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client
