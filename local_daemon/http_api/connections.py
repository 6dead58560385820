"""One client's connection: uvicorn's, with a deadline for a request's head and our words for what is no HTTP.

What happens before there is a request for `app` to see. Called by `bootstrap`.
Tests: tests/integration/daemon/test_connections.py.
"""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from local_daemon.protocol import errors, limits


class Connection(HttpToolsProtocol):
    """Ends connections whose request does not begin or get past its head in time."""

    head_s: float = limits.HANDSHAKE_S
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A client is there, and has so long to say what it wants."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.head_s, transport.close)

    def on_message_begin(self) -> None:
        """The next request begins."""
        super().on_message_begin()
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.head_s, self.transport.close)

    def on_headers_complete(self) -> None:
        """Its head is whole; the body has a deadline of its own."""
        self._deadline_end()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._deadline_end()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP as everything else is refused."""
        content = json.dumps(errors.InvalidRequest(msg).problem()).encode()
        head = (
            f"HTTP/1.1 {HTTPStatus.BAD_REQUEST.value} {HTTPStatus.BAD_REQUEST.phrase}\r\n"
            f"content-type: application/problem+json\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + content)
        self.transport.close()

    def _deadline_end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
