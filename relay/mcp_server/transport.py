"""MCP over streamable HTTP as one raw ASGI application: stateless, so that any process may answer any request.

The SDK's manager wants to be started; an ASGI server may know no lifespan, so it is started with the first request of
each event loop, in a task of its own with an empty context. Before the SDK sees anything, whoever calls is
authenticated, and the request is counted, of a kind that it takes, and says one thing only; whatever it refuses after
that leaves in our words (`refusals`). By which name we may be reached is the mounts' affair. Mounted by the wiring; the
cloud and the relay mount the same code. Tests: tests/integration/cloud/relay/test_mcp.py.
"""

import asyncio
import contextvars
import logging
import re
import secrets
from collections.abc import Callable
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.lowlevel import Server
from mcp.server.streamable_http import check_accept_headers
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request as StarletteRequest

from local_daemon.protocol import errors, limits, wire
from relay import http_refusals
from relay.http_messages import Receive, Request, Scope, Send, read_body, send_problem
from relay.mcp_server import refusals, underway
from relay.mcp_server.counting import RequestCount
from relay.mcp_server.server import COUNT_KEY, SCOPE_KEY
from relay.mcp_server.tools import Origin
from relay.mcp_server.underway import Underway
from relay.ports import Caller, Planner

_SESSION_HEADER = "mcp-session-id"
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
"""Where half a surrogate pair may stand: the SDK takes it for a character, and then cannot write it."""

logger = logging.getLogger(__name__)


class McpApplication:
    """The ASGI application."""

    def __init__(
        self, planner: Planner, make_server: Callable[[], Server[dict[str, Any]]], *, allowed_origins: list[str]
    ) -> None:
        """`allowed_origins` are the web pages that may call: `scheme://host`, with `:*` for any port."""
        self._planner = planner
        self._make_server = make_server
        self._origins = frozenset(origin for origin in allowed_origins if not origin.endswith(":*"))
        self._any_port = tuple(origin.removesuffix("*") for origin in allowed_origins if origin.endswith(":*"))
        self._managers: dict[int, _Hosted] = {}
        self._underway = Underway()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        worded = refusals.Worded(send)
        try:
            request = Request.of(scope)
            self._require_welcome(request)
            token = request.bearer()
            caller = await self._planner.authenticate(token)
            count = RequestCount(self._planner, caller, client_address=request.client_address)
            try:
                _require_kind(scope, request)
                body = await read_body(request, receive)
                message = _message(body)
            except (errors.RopewayError, ConnectionError):
                # It never comes to a tool, which would have counted it.
                await count.make()
                raise
            await count.at_door(message)
            worded.refuses_after(count.make)
            origin = Origin(caller=caller, client_address=request.client_address, traceparent=request.traceparent())
            facts = {SCOPE_KEY: origin, COUNT_KEY: count}
            with self._underway.entered(self._asking(message, request, caller, worded)) as called_off:
                await self._serve({**scope, **facts}, _again(body, receive), worded, token=token, caller=caller)
            if called_off.cancelled_caught:
                await worded.end()
        except errors.RopewayError as error:
            await send_problem(send, error)
        except ConnectionError:
            return
        except Exception:
            logger.exception("A request failed", extra={"event": "mcp.request_failed"})
            if worded.has_begun:
                # Half an answer is out: only breaking it off tells the client.
                raise
            await send_problem(send, errors.Internal())

    def _require_welcome(self, request: Request) -> None:
        """Refuse what nobody may send."""
        if request.method != "POST":
            # Stateless: there is no stream to open, and nothing to end.
            raise errors.MethodNotAllowed("This path takes POST only.", allowed=["POST"])
        origin = request.headers.get("origin")
        if origin and origin not in self._origins and not origin.startswith(self._any_port):
            raise errors.Forbidden("Web pages of this origin are not answered.")

    def _asking(
        self, message: Any, request: Request, caller: Caller, worded: refusals.Worded
    ) -> underway.Asking | None:
        """Which request this is. One that begins a session is told its name; one that calls another off does so."""
        if not isinstance(message, dict):
            return None
        session = request.headers.get(_SESSION_HEADER)
        if message.get("method") == "initialize":
            worded.adds((_SESSION_HEADER.encode(), secrets.token_hex(16).encode()))
        self._underway.call_off(underway.called_off_by(message, caller_id=caller.id, session=session))
        return underway.asking_of(message, caller_id=caller.id, session=session)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, *, token: str, caller: Caller) -> None:
        user = AuthenticatedUser(AccessToken(token=token, client_id=str(caller.id), scopes=sorted(caller.scopes)))
        manager = await self._manager()
        # Blanks around a value are none of it, and not every ASGI server takes them away.
        headers = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        await manager.handle_request({**scope, "headers": headers, "user": user}, receive, send)

    async def _manager(self) -> StreamableHTTPSessionManager:
        loop = asyncio.get_running_loop()
        hosted = self._managers.get(id(loop))
        if hosted is None:
            manager = StreamableHTTPSessionManager(
                self._make_server(),
                stateless=True,
                # Host and Origin were looked at before.
                security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
                max_request_body_size=limits.BODY_BYTES,
            )
            hosted = self._managers[id(loop)] = _Hosted(manager, loop)
        await asyncio.shield(hosted.is_ready)
        return hosted.manager


def _require_kind(scope: Scope, request: Request) -> None:
    """Refuse what is no MCP message, or expects no MCP answer."""
    if not request.has_json():
        raise http_refusals.UnsupportedMediaType
    if not all(check_accept_headers(StarletteRequest(scope))):
        raise http_refusals.NotAcceptable


def _message(body: bytes) -> Any:
    """What the body says, to everybody: the SDK reads it again, and of a name given twice it takes the last. What a
    tool's arguments hold is the tool's affair, except for what the SDK would take and could not answer."""
    try:
        return wire.json_read(body) if _HALF_PAIR.search(body) else wire.json_parse(body)
    except ValueError as error:
        raise errors.InvalidRequest(f"The body is not taken: {error}.") from None


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out a body already read, and then what comes after it."""
    unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Any:
        return unread.pop() if unread else await receive()

    return again


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
