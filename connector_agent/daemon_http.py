"""HTTP/1.1 to the daemon's Unix socket: kept connections, whole or streamed answers, and nothing else.

Every call crosses it, so it is a few dozen lines over asyncio streams instead of a general client, which took ten times
as long as the daemon itself (ADR 0006). It speaks to one server, our own on this machine, and reads what that one
sends. Deliberately ignorant of operations. Called by `daemon_client`.
Tests: tests/integration/connector/test_daemon_http.py.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from local_daemon.protocol import limits

HEAD_BYTES = 64 * limits.KIB
"""An answer's status line and headers; asyncio's own limit for `readuntil`."""


class DaemonGone(Exception):
    """The daemon does not answer, or stopped in the middle of an answer."""


class Answer:
    """An answer whose head was read."""

    def __init__(self, connection: "_Connection", *, status: int, headers: Mapping[str, str]) -> None:
        """Made by `Pool.ask`. Header names are lower case."""
        self._connection = connection
        self.status = status
        self.headers = headers
        self.is_read = status in (204, 304)

    async def read(self) -> bytes:
        """All of the content. Raises DaemonGone."""
        if "content-length" in self.headers:
            content = await self._connection.exactly(int(self.headers["content-length"]))
            self.is_read = True
            return content
        return b"".join([piece async for piece in self.pieces()])

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content as it comes, in pieces of a chunk's size at most. Raises DaemonGone."""
        if "content-length" in self.headers:
            left = int(self.headers["content-length"])
            while left:
                piece = await self._connection.some(min(left, limits.CHUNK_BYTES))
                left -= len(piece)
                yield piece
        else:
            while left := await self._connection.chunk_size():
                while left:
                    piece = await self._connection.some(min(left, limits.CHUNK_BYTES))
                    left -= len(piece)
                    yield piece
                await self._connection.exactly(2)
            await self._connection.exactly(2)
        self.is_read = True


class _Connection:
    """One open connection; whatever ends it early is DaemonGone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def is_alive(self) -> bool:
        return not self._reader.at_eof() and not self._writer.is_closing()

    async def send(self, content: bytes) -> None:
        try:
            self._writer.write(content)
            await self._writer.drain()
        except OSError as error:
            raise DaemonGone from error

    async def head(self) -> tuple[int, dict[str, str]]:
        first, *lines = (await self._until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        try:
            pairs = (line.partition(":") for line in lines if line)
            return int(first.split(" ", 2)[1]), {name.lower(): value.strip() for name, _, value in pairs}
        except (ValueError, IndexError) as error:
            raise DaemonGone from error

    async def chunk_size(self) -> int:
        try:
            return int(await self._until(b"\r\n"), 16)
        except ValueError as error:
            raise DaemonGone from error

    async def exactly(self, size: int) -> bytes:
        try:
            return await self._reader.readexactly(size)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise DaemonGone from error

    async def some(self, size: int) -> bytes:
        try:
            piece = await self._reader.read(size)
        except OSError as error:
            raise DaemonGone from error
        if not piece:
            raise DaemonGone
        return piece

    async def _until(self, end: bytes) -> bytes:
        try:
            return await self._reader.readuntil(end)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise DaemonGone from error

    def close(self) -> None:
        self._writer.close()


class Pool:
    """Connections to one socket; as many as there are requests at once, and some kept for the next ones."""

    def __init__(self, socket: Path, *, token: str) -> None:
        """Every request shows `token`."""
        self._socket = socket
        self._fixed = f"Host: localhost\r\nAuthorization: Bearer {token}\r\n"
        self._idle: list[_Connection] = []
        self._is_closed = False

    async def ask(
        self, method: str, target: str, *, headers: Mapping[str, str], content: bytes | None = None
    ) -> Answer:
        """Send a request and read the answer's head; give the answer back with `done`. Header values are printable
        ASCII. Raises DaemonGone."""
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        if content is not None:
            lines.append(f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n")
        head = f"{method} {target} HTTP/1.1\r\n{self._fixed}{''.join(lines)}\r\n".encode("ascii")
        while True:
            connection = self._kept()
            is_kept = connection is not None
            connection = connection or await self._opened()
            try:
                await connection.send(head + (content or b""))
                status, found = await connection.head()
            except DaemonGone:
                connection.close()
                if is_kept:
                    # Ended by the daemon while it was idle, or with it; the daemon knows a call that comes again.
                    continue
                raise
            except BaseException:
                # Cancelled: what is still to come on it belongs to nobody.
                connection.close()
                raise
            return Answer(connection, status=status, headers=found)

    def done(self, answer: Answer) -> None:
        """Keep the answer's connection if nothing is left on it and there is room, else end it."""
        connection = answer._connection
        may_keep = answer.is_read and answer.headers.get("connection", "").lower() != "close"
        if may_keep and not self._is_closed and connection.is_alive and len(self._idle) < limits.CALLS_IN_FLIGHT:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """End every connection that nobody uses; those in use end when their answer is given back."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_alive:
                return connection
            connection.close()
        return None

    async def _opened(self) -> _Connection:
        try:
            return _Connection(*await asyncio.open_unix_connection(str(self._socket), limit=HEAD_BYTES))
        except OSError as error:
            raise DaemonGone from error
