"""MCP over streamable HTTP as one raw ASGI application: stateless, so that any process may answer any request.

The SDK's manager wants to be started; an ASGI server may know no lifespan, so it is started with the first request of
each event loop, in a task of its own with an empty context. Whoever calls is authenticated before the SDK sees
anything. Mounted by the wiring; the cloud and the relay mount the same code. Tests:
tests/integration/cloud/relay/test_mcp.py.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings

from local_daemon.protocol import errors, limits
from relay.http_messages import Receive, Request, Scope, Send, send_problem
from relay.mcp_server.server import SCOPE_KEY
from relay.mcp_server.tools import Origin
from relay.ports import Planner

logger = logging.getLogger(__name__)


class McpApplication:
    """The ASGI application."""

    def __init__(
        self,
        planner: Planner,
        make_server: Callable[[], Server[dict[str, Any]]],
        *,
        allowed_hosts: list[str],
        allowed_origins: list[str],
    ) -> None:
        """`allowed_hosts` and `allowed_origins` fence off web pages that reach us by a name of theirs."""
        self._planner = planner
        self._make_server = make_server
        self._security = TransportSecuritySettings(allowed_hosts=allowed_hosts, allowed_origins=allowed_origins)
        self._managers: dict[int, _Hosted] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            request = Request.of(scope)
            token = request.bearer()
            caller = await self._planner.authenticate(token)
        except errors.RopewayError as error:
            await send_problem(send, error)
            return
        except Exception:
            logger.exception("A request failed", extra={"event": "mcp.request_failed"})
            await send_problem(send, errors.Internal())
            return
        origin = Origin(
            caller=caller,
            client_address=request.client_address,
            traceparent=request.headers.get("traceparent"),
        )
        user = AuthenticatedUser(AccessToken(token=token, client_id=str(caller.id), scopes=sorted(caller.scopes)))
        manager = await self._manager()
        await manager.handle_request({**scope, "user": user, SCOPE_KEY: origin}, receive, send)

    async def _manager(self) -> StreamableHTTPSessionManager:
        loop = asyncio.get_running_loop()
        hosted = self._managers.get(id(loop))
        if hosted is None:
            manager = StreamableHTTPSessionManager(
                self._make_server(),
                stateless=True,
                security_settings=self._security,
                max_request_body_size=limits.BODY_BYTES,
            )
            hosted = self._managers[id(loop)] = _Hosted(manager, loop)
        await asyncio.shield(hosted.is_ready)
        return hosted.manager


class _Hosted:
    """A running manager, and the task it runs in."""

    def __init__(self, manager: StreamableHTTPSessionManager, loop: asyncio.AbstractEventLoop) -> None:
        self.manager = manager
        self.is_ready: asyncio.Future[None] = loop.create_future()
        # An empty context: nothing of the first request's may live on in those that follow.
        self._task = loop.create_task(self._host(), context=contextvars.Context())

    async def _host(self) -> None:
        async with self.manager.run():
            self.is_ready.set_result(None)
            await asyncio.Event().wait()
