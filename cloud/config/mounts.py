"""Which application answers which path: raw ASGI before Django, because a request through Django's handler costs several
times one that is not. Called by `asgi.py`. Tests: tests/integration/cloud/config/test_asgi.py.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from channels.exceptions import DenyConnection

Application = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]

HTTP_BEFORE_DJANGO: dict[str, Application] = {}
"""Path prefix → raw ASGI application; the longest prefix wins. Filled by the wiring."""
WEBSOCKETS: dict[str, Application] = {}
"""Exact path → websocket application."""


class HttpMounts:
    """HTTP by path: a raw application where one is mounted, Django elsewhere."""

    def __init__(self, django_application: Application) -> None:
        self._django = django_application

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        path: str = scope["path"]
        for prefix in sorted(HTTP_BEFORE_DJANGO, key=len, reverse=True):
            if path == prefix or path.startswith(f"{prefix}/"):
                await HTTP_BEFORE_DJANGO[prefix](scope, receive, send)
                return
        await self._django(scope, receive, send)


async def websocket(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """Serve one websocket, or refuse it before it opens."""
    found = WEBSOCKETS.get(scope["path"])
    if found is None:
        raise DenyConnection
    await found(scope, receive, send)
