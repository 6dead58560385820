"""A uvicorn in the test's own event loop, which ends as soon as nothing is left to wait for.

Uvicorn's own `serve` looks ten times a second whether it should end, and as often whether its last connection has
ended: where every test has a server, that adds up to minutes. Deliberately nothing else is different: connections are
asked to close, requests at work are waited for, and then the application is told.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


class _Connections(set[Any]):
    """The open connections, of which one may see the last one go."""

    def __init__(self) -> None:
        super().__init__()
        self._one_went = asyncio.Event()

    def remove(self, connection: Any) -> None:
        super().remove(connection)
        self._one_went.set()

    def discard(self, connection: Any) -> None:
        super().discard(connection)
        self._one_went.set()

    async def gone(self) -> None:
        while self:
            self._one_went.clear()
            await self._one_went.wait()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._connections = self.server_state.connections = _Connections()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in self.servers:
            listening.close()
        for connection in list(self._connections):
            connection.shutdown()
        await self._connections.gone()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks)
        await self.lifespan.shutdown()


@asynccontextmanager
async def serving(config: uvicorn.Config) -> AsyncIterator[uvicorn.Server]:
    """A server that answers inside the block."""
    server = _Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    # What is sent with every answer is made here, and only made anew (the date) by the loop that we do without.
    await server.on_tick(0)
    await server.startup()
    try:
        yield server
    finally:
        await server.shutdown()
