"""Which application answers which path: raw ASGI before Django, whose handler costs a request several times as much.

Nothing that is called by programs is answered by a name that is not ours; Django sees to its own pages. The tables are
filled by the wiring. Called by `asgi.py`. Tests: tests/integration/cloud/config/test_mounts.py.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from cloud.config import hosts
from relay import http_messages, http_refusals

Scope = MutableMapping[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]

HTTP_BEFORE_DJANGO: dict[str, Application] = {}
"""Path prefix → raw ASGI application; the longest prefix wins."""
HTTP_EXCEPT: set[str] = set()
"""Exact paths below such a prefix that are Django's all the same."""
WEBSOCKETS: dict[str, Application] = {}
"""Exact path → websocket application."""


class Mounts:
    """One ASGI application out of the tables, and Django for what they do not name."""

    def __init__(self, django_application: Application) -> None:
        self._django = django_application

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serve one connection."""
        if scope["type"] == "websocket":
            application: Application = WEBSOCKETS.get(scope["path"], _refuse)
        else:
            application = self._http(scope["path"])
            if not self._is_page(scope["path"], application) and not hosts.is_host_allowed(_host(scope)):
                await http_messages.send_problem(send, http_refusals.Misdirected())
                return
        await application(scope, receive, send)

    def _is_page(self, path: str, application: Application) -> bool:
        return application is self._django and not path.startswith("/api/")

    def _http(self, path: str) -> Application:
        if path in HTTP_EXCEPT:
            return self._django
        under = [prefix for prefix in HTTP_BEFORE_DJANGO if path == prefix or path.startswith(f"{prefix}/")]
        return HTTP_BEFORE_DJANGO[max(under, key=len)] if under else self._django


def _host(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")


async def _refuse(_scope: Scope, receive: Any, send: Any) -> None:
    """Close a websocket before it opens: nothing is served at that path."""
    await receive()
    await send({"type": "websocket.close", "code": 4404})
