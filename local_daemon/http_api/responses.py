"""Writing an answer: JSON, a problem, or bytes as they come off the disk. Decides nothing.

Tests: tests/integration/daemon/test_http_content.py, tests/unit/daemon/http_api/test_responses.py.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from local_daemon.http_api.requests import Send
from local_daemon.operations.context import ContentStream
from local_daemon.protocol import errors, messages

_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{0,18})|bytes=-([0-9]{1,18})")
_BODY_LEFT_BEHIND = (errors.PayloadTooLarge, errors.DeadlineExceeded)
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


async def problem_send(send: Send, error: errors.RopewayError) -> None:
    """An error as an RFC 9457 problem, with the headers its status asks for."""
    extra = []
    if isinstance(error, _BODY_LEFT_BEHIND):
        # What the client still sends of its body must not be taken for its next request.
        extra.append((b"connection", b"close"))
    if isinstance(error, errors.MethodNotAllowed):
        extra.append((b"allow", ", ".join(error.attributes["allowed"]).encode("ascii")))
    if error.retry_after_s is not None:
        extra.append((b"retry-after", str(max(1, round(error.retry_after_s))).encode("ascii")))
    if isinstance(error, errors.RangeInvalid) and "size_bytes" in error.attributes:
        extra.append((b"content-range", f"bytes */{error.attributes['size_bytes']}".encode("ascii")))
    if isinstance(error, errors.Unauthenticated):
        extra.append((b"www-authenticate", b"Bearer"))
    await bytes_send(
        send,
        json.dumps(error.problem()).encode(),
        status=error.row.http,
        media_type="application/problem+json",
        headers=extra,
    )


def is_held(content: ContentStream, if_none_match: str | None) -> bool:
    """Whether who sent this If-None-Match has the content already. Source: RFC 9110, section 13.1.2."""
    # A proxy that compresses weakens the tag.
    tags = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    return not tags.isdisjoint(("*", _etag(content)))


async def unchanged_send(send: Send, content: ContentStream) -> None:
    """That the content is what the client has: an artifact never changes."""
    headers = [(b"etag", _etag(content).encode("ascii")), *_FIXED]
    await send({"type": "http.response.start", "status": 304, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _etag(content: ContentStream) -> str:
    return f'"{content.sha256}"'


async def content_send(send: Send, content: ContentStream, *, is_partial: bool, with_body: bool) -> None:
    """Bytes of an artifact, whole or a range of them."""
    headers = [
        (b"content-type", content.media_type.encode("latin-1")),
        (b"content-length", str(content.length).encode("ascii")),
        (b"etag", _etag(content).encode("ascii")),
        (b"accept-ranges", b"bytes"),
        # Whatever an executor wrote is shown, never run.
        (b"content-security-policy", b"sandbox"),
        *_FIXED,
    ]
    if is_partial and content.length:
        last = content.offset + content.length - 1
        headers.append((b"content-range", f"bytes {content.offset}-{last}/{content.size_bytes}".encode("ascii")))
    await send({"type": "http.response.start", "status": 206 if is_partial else 200, "headers": headers})
    if with_body:
        async for piece in content.chunks:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRange:
    """Which bytes a client asks for: from `first` to `last` or the end, or only the last `suffix` ones."""

    first: int = 0
    last: int | None = None
    suffix: int | None = None

    def query(self, size_bytes: int) -> messages.ContentQuery:
        """The same range of a content that is this large. Raises RangeInvalid where it has none of these bytes."""
        if self.suffix is not None:
            first, last = max(0, size_bytes - self.suffix), size_bytes - 1
        else:
            first, last = self.first, size_bytes - 1 if self.last is None else min(self.last, size_bytes - 1)
        if first > last:
            raise errors.RangeInvalid(size_bytes=size_bytes)
        return messages.ContentQuery(offset=first, length=last - first + 1)


def range_parse(header: str | None) -> ByteRange | None:
    """The range a header asks for; None where there is none, or none that we know: then all of it is answered.
    Source: RFC 9110, section 14.2."""
    match = None if header is None else _RANGE.fullmatch(header.strip())
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        return ByteRange(suffix=int(suffix))
    if last and int(last) < int(first):
        return None
    return ByteRange(first=int(first), last=int(last) if last else None)
