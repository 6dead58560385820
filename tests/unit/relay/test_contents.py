"""Bytes as JSON and back."""

import pytest

from local_daemon.protocol import envelopes
from relay.contents import content_bytes, content_view


@pytest.mark.parametrize("content", [b"", b"plain", "grüße".encode(), b"\xff\x00", b"a\x00b", "ü".encode()[:1]])
def test_bytes_come_back_as_they_were(content: bytes) -> None:
    head = envelopes.StreamHead(media_type="text/plain", offset=5, total_bytes=100)
    view = content_view(head, content, artifact_id="art")
    assert content_bytes(view) == content
    assert (view["offset"], view["length"], view["size_bytes"]) == (5, len(content), 100)
    assert ("text" in view) != ("base64" in view)
