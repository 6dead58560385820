"""The relay in this serving process: its router, its books, and the doors where connectors and planners come in.

Called by the wiring when an event loop runs. Tests: tests/integration/cloud/relay/.
"""

from collections.abc import Coroutine
from functools import partial

from django.conf import settings

from cloud.config import hosts, mounts
from cloud.config.planner import CloudPlanner
from cloud.dispatch import services as dispatch
from cloud.dispatch.books import CloudCallBook, CloudEventSink, CloudLinkBook
from cloud.dispatch.wake import PostgresWaker
from cloud.mcp.tools import cloud_tools
from relay import consumers, http, sweeper
from relay.links import Books
from relay.mcp_server.resources import Resources
from relay.mcp_server.server import make_server
from relay.mcp_server.tools import relay_tools
from relay.mcp_server.transport import McpApplication
from relay.router import Router

MCP_PATH = "/api/cloud/v1/mcp"
RELAY_MCP_PATH = "/mcp"


def mount(*, conninfo: str) -> list[Coroutine[None, None, None]]:
    """Mount the relay's surfaces; what must run for as long as the process lives."""
    router = Router(Books(links=CloudLinkBook(), calls=CloudCallBook(), events=CloudEventSink()))
    dispatch.install_router(router)
    planner = CloudPlanner()
    api = http.RelayApi(planner)
    for prefix in http.PREFIXES:
        mounts.HTTP_BEFORE_DJANGO[prefix] = api
    mounts.HTTP_BEFORE_DJANGO[RELAY_MCP_PATH] = _mcp(planner, with_cloud_tools=False)
    mounts.HTTP_BEFORE_DJANGO[MCP_PATH] = _mcp(planner, with_cloud_tools=True)
    mounts.WEBSOCKETS[consumers.PATH] = consumers.ConnectorDoor(router, is_host_allowed=hosts.is_host_allowed)
    return [PostgresWaker(conninfo).listen(router), sweeper.sweep_forever(router)]


def _mcp(planner: CloudPlanner, *, with_cloud_tools: bool) -> McpApplication:
    own = cloud_tools(planner)
    if not with_cloud_tools:
        # Without the list of projects a planner could not name one.
        own = [tool for tool in own if tool.definition.name == "projects_list"]
    return McpApplication(
        planner,
        partial(make_server, [*own, *relay_tools(planner)], Resources(planner), planner, name="ropeway"),
        allowed_origins=_origins(),
    )


def _origins() -> list[str]:
    local = [f"http://{host}:*" for host in settings.ALLOWED_HOSTS if host in ("localhost", "127.0.0.1")]
    return [*settings.CSRF_TRUSTED_ORIGINS, *local]
