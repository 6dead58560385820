"""Writing an answer: JSON, a problem, or bytes as they come off the disk. Decides nothing.

Tests: tests/integration/daemon/test_http_api.py.
"""

import json
import re
from collections.abc import Sequence

from pydantic import BaseModel

from local_daemon.http_api.requests import Send
from local_daemon.operations.context import ContentStream
from local_daemon.protocol import errors

_RANGE = re.compile(r"^bytes=(\d+)-(\d*)$")
_FIXED = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


async def bytes_send(
    send: Send, content: bytes, *, status: int, media_type: str, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """A complete answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", media_type.encode("latin-1")),
                (b"content-length", str(len(content)).encode("ascii")),
                *_FIXED,
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": content})


async def model_send(send: Send, model: BaseModel, *, status: int) -> None:
    """A model as JSON."""
    await bytes_send(send, model.model_dump_json().encode(), status=status, media_type="application/json")


async def problem_send(
    send: Send, error: errors.RopewayError, *, status: int | None = None, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """An error as an RFC 9457 problem."""
    extra = list(headers)
    if error.retry_after_s is not None:
        extra.append((b"retry-after", str(max(1, round(error.retry_after_s))).encode("ascii")))
    if isinstance(error, errors.Unauthenticated):
        extra.append((b"www-authenticate", b"Bearer"))
    await bytes_send(
        send,
        json.dumps(error.problem()).encode(),
        status=status or error.row.http,
        media_type="application/problem+json",
        headers=extra,
    )


async def content_send(send: Send, content: ContentStream, *, is_ranged: bool, with_body: bool = True) -> None:
    """Bytes of an artifact, whole or a range of them."""
    headers = [
        (b"content-type", content.media_type.encode("latin-1")),
        (b"content-length", str(content.length).encode("ascii")),
        (b"etag", f'"{content.sha256}"'.encode("ascii")),
        (b"accept-ranges", b"bytes"),
        # Whatever an executor wrote is shown, never run.
        (b"content-security-policy", b"sandbox"),
        *_FIXED,
    ]
    if is_ranged:
        last = content.offset + content.length - 1
        headers.append((b"content-range", f"bytes {content.offset}-{last}/{content.size_bytes}".encode("ascii")))
    await send({"type": "http.response.start", "status": 206 if is_ranged else 200, "headers": headers})
    if with_body:
        async for piece in content.chunks:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def range_parse(header: str | None) -> tuple[int, int | None] | None:
    """Offset and length of a single-range header; None where there is none. Raises RangeInvalid for any other form."""
    if header is None:
        return None
    match = _RANGE.match(header.strip())
    if match is None:
        raise errors.RangeInvalid("Ask for one range, as bytes=FIRST-LAST or bytes=FIRST-.")
    first = int(match.group(1))
    if not match.group(2):
        return first, None
    length = int(match.group(2)) - first + 1
    if length < 1:
        raise errors.RangeInvalid
    return first, length
