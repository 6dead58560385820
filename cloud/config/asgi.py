"""The serving process: mounts only. What is hot stands before Django; what lives as long as the process starts here.

Runs under daphne, which knows no lifespan, and under any server that does.
Tests: tests/integration/cloud/config/test_asgi.py.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from weakref import WeakSet

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cloud.config.settings.local")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from cloud.config import checks, mounts, wiring  # noqa: E402 - they need Django to be set up

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

checks.refuse_unsafe_role()

_mounts = mounts.Mounts(django_application)
# Weakly, and the loops themselves: by its number, a new loop could be taken for a dead one and start nothing.
_started_on: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


def _start_once() -> None:
    """Start what runs beside the requests, once an event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _started_on:
        _started_on.add(loop)
        wiring.start_serving()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """One connection, or the server's own life."""
    _start_once()
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    else:
        await _mounts(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await wiring.stop_serving()
    _started_on.discard(asyncio.get_running_loop())
    await send({"type": "lifespan.shutdown.complete"})


if "daphne.server" in sys.modules and "twisted.internet.reactor" in sys.modules:
    from twisted.internet import reactor

    from cloud.config import daphne_bodies

    daphne_bodies.install()
    # Daphne loads this module before its loop runs: begin as soon as it does, not at the first request.
    reactor.callWhenRunning(reactor.callLater, 0, _start_once)
