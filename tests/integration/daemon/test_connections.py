"""What a connection is before there is a request: refused in our words, and not kept open for ever."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from local_daemon.http_api.connections import Connection
from tests.integration import serving
from tests.integration.daemon.door import Door

ENDS_WITHIN_S = 20


def said_to(door: Door, content: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(ENDS_WITHIN_S)
        client.connect(door.address["socket"])
        client.sendall(content)
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize(
    "content", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"]
)
def test_what_is_no_http_is_a_problem_like_any_other(door: Door, content: bytes) -> None:
    head, _, body = said_to(door, content).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == "invalid_request"


class Quick(Connection):
    """A connection with little patience."""

    head_s = 0.05


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: "])
async def test_a_request_that_does_not_get_past_its_head_is_ended(tmp_path: Path, begun: bytes) -> None:
    config = uvicorn.Config(answer, uds=str(tmp_path / "s"), http=Quick, lifespan="off", log_config=None)
    async with asyncio.timeout(ENDS_WITHIN_S), serving.serving(config):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        whole = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
        writer.write(whole)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.write(begun or whole[:1])
        assert await reader.read() == b""
        writer.close()
