"""A body as daphne gathers it, bounded in time; its size is tried against daphne itself."""

import io
import json
import time
from types import SimpleNamespace

import pytest

from cloud.config.daphne_bodies import BoundedRequest
from local_daemon.protocol import limits


@pytest.mark.parametrize(("age_s", "is_cut_off"), [(0, False), (limits.BODY_S + 1, True)])
def test_who_is_too_slow_is_told_so_and_disconnected(age_s: float, is_cut_off: bool) -> None:
    written, hung_up = io.BytesIO(), []
    request = BoundedRequest.__new__(BoundedRequest)
    request.channel = SimpleNamespace(transport=written, loseConnection=lambda: hung_up.append(True))
    request.content = io.BytesIO()
    request._began_at, request._seen_bytes = time.monotonic() - age_s, 0
    request.handleContentChunk(b"x")
    assert bool(hung_up) is is_cut_off
    assert request.content.getvalue() == (b"" if is_cut_off else b"x")
    if is_cut_off:
        assert written.getvalue().startswith(b"HTTP/1.1 408 ")
        assert json.loads(written.getvalue().partition(b"\r\n\r\n")[2])["code"] == "deadline_exceeded"
