"""Bytes of an artifact as JSON, for where bytes cannot travel: a tool's answer, a row.

Text where they are text, else base64. Tests: tests/unit/relay/test_contents.py.
"""

import base64
from typing import Any

from local_daemon.protocol import envelopes, messages, wire


def content_view(head: envelopes.StreamHead, content: bytes, *, artifact_id: str) -> dict[str, Any]:
    """The wire's Content of a piece; its `sha256` is of exactly these bytes."""
    text = _as_text(content)
    view = messages.Content(
        artifact_id=artifact_id,
        media_type=head.media_type,
        size_bytes=head.total_bytes if head.total_bytes is not None else head.offset + len(content),
        sha256=wire.sha256_hex(content),
        offset=head.offset,
        length=len(content),
        text=text,
        base64=None if text is not None else base64.b64encode(content).decode(),
    )
    return view.model_dump(mode="json", exclude_none=True)


def content_bytes(view: dict[str, Any]) -> bytes:
    """The bytes behind such a view."""
    if view.get("text") is not None:
        return str(view["text"]).encode()
    return base64.b64decode(view.get("base64") or "")


def _as_text(content: bytes) -> str | None:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    # A NUL survives neither every client nor every database as text.
    return None if "\x00" in text else text
