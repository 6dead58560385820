"""Daphne takes in a whole request before it asks anybody: here it is kept from taking in more than any surface would.

What comes beyond the largest body is not kept, so the surface sees that it is too long and says so in its own form; who
goes on far beyond that, or takes too long, loses the connection. Other servers hand on what comes as it comes, and the
surfaces stop reading. Installed by `asgi` under daphne. Tests: tests/unit/cloud/config/test_daphne_bodies.py,
tests/integration/cloud/relay/test_daphne.py.
"""

import json
import time
from http import HTTPStatus
from typing import Any

from daphne import http_protocol  # type: ignore[import-untyped]

from local_daemon.protocol import errors, limits
from relay import http_refusals

_KEPT_BYTES = limits.BODY_BYTES + 1
_READ_BYTES = 8 * limits.BODY_BYTES


class BoundedRequest(http_protocol.WebRequest):
    """A request whose body ends up in memory and on disk only as far as it may be used."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._began_at = time.monotonic()
        self._seen_bytes = 0

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - twisted's name
        """The body is announced to be so long."""
        super().gotLength(length)
        if length is not None and length > _READ_BYTES:
            self._cut_off(errors.PayloadTooLarge(limit=limits.BODY_BYTES))

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - twisted's name
        """Keep the next bytes of the body, if they are wanted."""
        wanted = max(0, _KEPT_BYTES - self._seen_bytes)
        self._seen_bytes += len(data)
        if self._seen_bytes > _READ_BYTES:
            self._cut_off(errors.PayloadTooLarge(limit=limits.BODY_BYTES))
        elif time.monotonic() - self._began_at > limits.BODY_S:
            # Not before the next bytes: who sends none at all is disconnected by twisted's own clock.
            self._cut_off(http_refusals.BodyTooSlow())
        elif wanted:
            super().handleContentChunk(data[:wanted])

    def _cut_off(self, error: errors.RopewayError) -> None:
        """Say why past everything that waits for the body's end, and hang up."""
        content = json.dumps(error.problem()).encode()
        status = HTTPStatus(error.row.http)
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        )
        self.channel.transport.write(head.encode("ascii") + content)
        self.channel.loseConnection()


def install() -> None:
    """Make daphne use it."""
    http_protocol.WebRequest = BoundedRequest
