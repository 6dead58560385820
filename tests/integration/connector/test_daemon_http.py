"""What the connector's HTTP client makes of what a daemon may send, over a real Unix socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from connector_agent.daemon_http import DaemonGone, Pool
from local_daemon.protocol import limits

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def socket() -> Iterator[Path]:
    with TemporaryDirectory(prefix="rw-") as directory:
        yield Path(directory) / "daemon.sock"


@asynccontextmanager
async def served(socket: Path, serve: Serve) -> AsyncIterator[Pool]:
    serving: set[asyncio.Task[None] | None] = set()

    async def serve_to_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            await serve(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_unix_server(serve_to_the_end, str(socket))
    pool = Pool(socket, token="secret")
    async with server:
        yield pool
        pool.close()
        await asyncio.gather(*(task for task in serving if task is not None))


def always(answer: bytes, *, times: int = 100, heads: list[bytes] | None = None) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(times):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            if heads is not None:
                heads.append(head)
            writer.write(answer)
            await writer.drain()

    return serve


async def ask(pool: Pool) -> bytes:
    answer = await pool.ask("GET", "/", headers={})
    try:
        return await answer.read()
    finally:
        pool.done(answer)


async def test_an_answer_of_known_length_is_read_and_its_connection_kept(socket: Path) -> None:
    opened = []
    one_after_the_other = always(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(1)
        await one_after_the_other(reader, writer)

    async with served(socket, serve) as pool:
        assert [await ask(pool) for _ in range(3)] == [b"ok"] * 3
    assert len(opened) == 1


async def test_every_request_shows_the_token(socket: Path) -> None:
    heads: list[bytes] = []
    async with served(socket, always(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", heads=heads)) as pool:
        await ask(pool)
    assert b"\r\nAuthorization: Bearer secret\r\n" in heads[0]


async def test_a_chunked_answer_is_put_together(socket: Path) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"
    async with served(socket, always(chunked)) as pool:
        assert [await ask(pool) for _ in range(2)] == [b"abc0123456789"] * 2


async def test_a_long_answer_comes_in_pieces_that_fit_a_chunk(socket: Path) -> None:
    content = bytes(3 * limits.CHUNK_BYTES + 7)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content)
    async with served(socket, always(head + content)) as pool:
        answer = await pool.ask("GET", "/", headers={})
        pieces = [piece async for piece in answer.pieces()]
        pool.done(answer)
    assert b"".join(pieces) == content
    assert max(len(piece) for piece in pieces) <= limits.CHUNK_BYTES


async def test_a_kept_connection_that_the_daemon_closed_is_not_missed(socket: Path) -> None:
    async with served(socket, always(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", times=1)) as pool:
        assert [await ask(pool) for _ in range(3)] == [b"ok"] * 3


async def test_an_answer_that_was_not_read_leaves_nothing_to_the_next_one(socket: Path) -> None:
    async with served(socket, always(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as pool:
        pool.done(await pool.ask("GET", "/", headers={}))
        assert await ask(pool) == b"ok"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nLong: " + bytes(200 * limits.KIB),
    ],
)
async def test_a_daemon_that_breaks_off_or_talks_nonsense_is_gone(socket: Path, answer: bytes) -> None:
    async with served(socket, always(answer, times=1)) as pool:
        with pytest.raises(DaemonGone):
            await ask(pool)


async def test_a_daemon_that_is_not_there_is_gone(socket: Path) -> None:
    with pytest.raises(DaemonGone):
        await ask(Pool(socket, token="secret"))
