"""Which application answers which path: raw ASGI before Django, whose handler costs a request several times as much.

Nothing that is called by programs is answered by a name that is not ours; Django sees to its own pages. Whoever serves
finds the client's address in `scope["client"]`, decided here for all. The tables are filled by the wiring. Called by
`asgi.py`. Tests: tests/integration/cloud/config/test_mounts.py.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings

from cloud.audit import origin
from cloud.config import client_address, hosts
from cloud.health import proxies
from cloud.metrics import registry
from relay import http_messages, http_refusals

Scope = MutableMapping[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]

HTTP_BEFORE_DJANGO: dict[str, Application] = {}
"""Path prefix → raw ASGI application; the longest prefix wins."""
HTTP_EXCEPT: set[str] = set()
"""Exact paths below such a prefix that are Django's all the same."""
PROBES: dict[str, Application] = {}
"""Exact path → what supervisors and Prometheus ask, by an address as well as by our names."""
WEBSOCKETS: dict[str, Application] = {}
"""Exact path → websocket application."""


class Mounts:
    """One ASGI application out of the tables, and Django for what they do not name."""

    def __init__(self, django_application: Application) -> None:
        self._django = django_application

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serve one connection."""
        address = _client_known(scope)
        if scope["type"] == "websocket":
            websocket: Application = WEBSOCKETS.get(scope["path"], _refuse)
            await websocket(scope, receive, send)
            return
        application, surface = self._http(scope["path"])
        send = _Counted(send, surface)
        if not self._is_page(scope["path"], application) and not hosts.is_host_allowed(_host(scope)):
            await http_messages.send_problem(send, http_refusals.Misdirected())
            return
        with origin.asked_from(address):
            await application(scope, receive, send)

    def _is_page(self, path: str, application: Application) -> bool:
        return path in PROBES or (application is self._django and not path.startswith("/api/"))

    def _http(self, path: str) -> tuple[Application, str]:
        """What answers, and the surface it is counted as."""
        if path in PROBES:
            return PROBES[path], "probes"
        if path in HTTP_EXCEPT:
            return self._django, "django"
        under = [prefix for prefix in HTTP_BEFORE_DJANGO if path == prefix or path.startswith(f"{prefix}/")]
        if not under:
            return self._django, "django"
        prefix = max(under, key=len)
        return HTTP_BEFORE_DJANGO[prefix], prefix


class _Counted:
    """An ASGI `send` that counts the answer it sends."""

    __slots__ = ("_send", "_surface")

    def __init__(self, send: Any, surface: str) -> None:
        self._send = send
        self._surface = surface

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            registry.request_count(self._surface, message["status"])
        await self._send(message)


def _client_known(scope: Scope) -> str | None:
    """Put the client's address where every server puts its peer's, so that nobody below needs to know of proxies."""
    client = scope.get("client")
    peer = client[0] if client else None
    forwarded_for = [value for name, value in scope.get("headers", ()) if name == b"x-forwarded-for"]
    if forwarded_for and not settings.TRUSTED_PROXIES:
        proxies.forwarded_unheard(peer)
    address = client_address.client_address_of(peer=peer, forwarded_for=forwarded_for, trusted=settings.TRUSTED_PROXIES)
    scope["client"] = None if address is None else (address, client[1] if client else 0)
    return address


def _host(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")


async def _refuse(_scope: Scope, receive: Any, send: Any) -> None:
    """Close a websocket before it opens: nothing is served at that path."""
    await receive()
    await send({"type": "websocket.close", "code": 4404})
