"""What is read of a request before anything is asked of anybody."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_daemon.protocol import errors, limits
from relay import http_messages, http_refusals
from relay.http_messages import Request


def request(*headers: tuple[str, str], query: bytes = b"", path: str = "/api/v2/projects") -> Request:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return Request.of({"method": "GET", "path": path, "query_string": query, "headers": raw, "client": None})


def receiving(pieces: Iterable[bytes]) -> Any:
    """A body in pieces; whoever reads on after the last one waits for ever."""
    events = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    taken: list[Any] = []

    async def receive() -> Any:
        if not events:
            await asyncio.Event().wait()
        taken.append(events.pop(0))
        return taken[-1]

    receive.taken = taken  # type: ignore[attr-defined]
    return receive


def gone() -> Any:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    return receive


async def problem_of(error: errors.RopewayError) -> tuple[dict[bytes, bytes], dict[str, Any]]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await http_messages.send_problem(send, error)
    return dict(sent[0]["headers"]), json.loads(sent[1]["body"])


@pytest.mark.parametrize("length", ["-1", "+1", "1e3", "", "9" * 5000, "1 2", "0x10", "\u00b2"])
async def test_a_length_that_is_none_is_refused(length: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        await http_messages.read_body(request(("content-length", length)), receiving([b""]))


async def test_a_body_announced_too_long_is_refused_unread() -> None:
    receive = receiving([b"x"])
    with pytest.raises(errors.PayloadTooLarge):
        await http_messages.read_body(request(("content-length", str(limits.BODY_BYTES + 1))), receive)
    assert receive.taken == []


async def test_a_body_in_chunks_is_read_no_further_than_the_limit() -> None:
    receive = receiving([b" " * limits.MIB] * 50)
    with pytest.raises(errors.PayloadTooLarge):
        await http_messages.read_body(request(), receive)
    assert len(receive.taken) == limits.BODY_BYTES // limits.MIB + 1


async def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_S", 0.01)
    with pytest.raises(http_refusals.BodyTooSlow):
        await http_messages.read_body(request(), receiving([b"{"]))


async def test_a_caller_who_leaves_is_not_waited_for() -> None:
    with pytest.raises(ConnectionError):
        await http_messages.read_body(request(), gone())


async def test_who_sends_a_body_too_slowly_loses_the_connection() -> None:
    headers, _ = await problem_of(http_refusals.BodyTooSlow())
    assert headers[b"connection"] == b"close"


async def test_a_method_refused_comes_with_those_allowed() -> None:
    headers, problem = await problem_of(errors.MethodNotAllowed(allowed=["GET", "POST"]))
    assert headers[b"allow"] == b"GET, POST"
    assert problem["status"] == 405


@pytest.mark.parametrize("retry_after_s", [0.0, 0.2, 1.0, 7.5])
async def test_a_time_to_retry_is_whole_seconds(retry_after_s: float) -> None:
    headers, _ = await problem_of(errors.RateLimited(retry_after_s=retry_after_s))
    assert int(headers[b"retry-after"]) >= retry_after_s


@pytest.mark.parametrize("trace", ["", "00-1-2-3", "00-" + "0" * 32 + "-" + "0" * 16 + "-0\x00", "x" * 5000])
def test_what_is_no_trace_is_passed_over(trace: str) -> None:
    assert request(("traceparent", trace)).traceparent() is None


def test_a_trace_is_kept() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert request(("traceparent", trace)).traceparent() == trace


@given(query=st.binary(max_size=300), authorization=st.text(st.characters(max_codepoint=255), max_size=100))
def test_whatever_is_sent_is_a_request_or_an_error_of_the_table(query: bytes, authorization: str) -> None:
    try:
        found = request(("authorization", authorization), ("prefer", authorization), query=query)
        found.prefers_async()
        found.bearer()
    except errors.RopewayError as error:
        assert error.code in ("invalid_request", "unauthenticated")
    else:
        assert all(isinstance(value, str) for value in found.query.values())


@pytest.mark.parametrize(
    "query", [b"a=1&a=2", b"a=%ff", "a=ü".encode(), b"&".join(b"a%d=1" % n for n in range(51)), b"a=" + b"x" * 5000]
)
def test_a_query_that_is_none_is_refused(query: bytes) -> None:
    with pytest.raises(errors.InvalidRequest):
        request(query=query)
