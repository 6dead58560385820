"""Bodies that lie about their size or never come, over raw sockets: refused in time, and nobody else is held up."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from local_daemon.http_api import requests
from local_daemon.protocol import errors, limits
from tests.integration.daemon.door import Door

BODY = b'{"objective":"o"}'


@contextmanager
def sent(door: Door, repository_id: str, *framing: str, body: bytes = b"", token: str | None = None) -> Iterator[Any]:
    """A connection on which this request was sent; what is read from it is the answer."""
    head = "\r\n".join(
        [
            f"POST /api/v1/repositories/{repository_id}/runs HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {door.token if token is None else token}",
            "Content-Type: application/json",
            *framing,
        ]
    )
    with socket.create_connection(("127.0.0.1", door.address["port"]), timeout=10) as client:
        client.sendall(head.encode("latin-1") + b"\r\n\r\n" + body)
        yield client


def _everything(client: socket.socket) -> bytes:
    """All that comes until the daemon closes the connection."""
    return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize(
    "framing",
    [
        ("Content-Length: -1",),
        ("Content-Length: x",),
        ("Content-Length: 17, 17",),
        ("Content-Length: 17", "Content-Length: 3"),
        ("Content-Length: 17", "Transfer-Encoding: chunked"),
        ("Content-Length: 1" + "0" * 30,),
        ("Content-Length: \xb2",),
    ],
)
def test_a_length_that_is_none_is_refused_and_the_connection_closed(
    door: Door, repository_id: str, framing: tuple[str, ...]
) -> None:
    before = door.get(f"/repositories/{repository_id}")["head_seq"]
    with sent(door, repository_id, *framing, body=BODY) as client:
        assert _everything(client).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 "))
    assert door.get(f"/repositories/{repository_id}")["head_seq"] == before


def test_what_follows_a_body_is_no_second_request(door: Door, repository_id: str) -> None:
    before = door.get(f"/repositories/{repository_id}")["head_seq"]
    with sent(door, repository_id, f"Content-Length: {len(BODY)}", body=BODY + BODY + b"\r\n\r\n") as client:
        assert _everything(client).count(b"HTTP/1.1 2") <= 1
    assert door.get(f"/repositories/{repository_id}")["head_seq"] <= before + 1


def test_a_body_shorter_than_announced_changes_nothing(door: Door, repository_id: str) -> None:
    before = door.get(f"/repositories/{repository_id}")["head_seq"]
    with sent(door, repository_id, f"Content-Length: {len(BODY) + 1}", body=BODY) as client:
        client.shutdown(socket.SHUT_WR)
        assert not _everything(client).startswith(b"HTTP/1.1 2")
    assert door.get(f"/repositories/{repository_id}")["head_seq"] == before


def test_a_stranger_is_turned_away_before_any_body_is_read(door: Door, repository_id: str) -> None:
    with sent(door, repository_id, f"Content-Length: {limits.BODY_BYTES}", token="wrong") as client:
        assert client.recv(64).startswith(b"HTTP/1.1 401 ")


def test_after_a_refused_length_the_connection_is_closed(door: Door, repository_id: str) -> None:
    """Or the rest of that body would be the next request."""
    with sent(door, repository_id, f"Content-Length: {50 * limits.MIB}", body=b'{"objective":"') as client:
        answered = _everything(client)
    assert answered.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answered.lower()


def test_slow_clients_hold_nobody_up(door: Door, repository_id: str) -> None:
    with sent(door, repository_id, "Content-Length: 1000", body=b"{"):
        assert door.get("/instance")["instance_id"]


async def test_a_body_that_does_not_come_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_S", 0.01)
    pieces = _slowly()

    async def receive() -> Any:
        return await anext(pieces)

    with pytest.raises(errors.DeadlineExceeded, match="nothing was done"):
        await requests.body_read({"content-length": "100"}, receive)


async def _slowly() -> AsyncIterator[Any]:
    yield {"type": "http.request", "body": b"{", "more_body": True}
    await asyncio.Event().wait()
