"""An HTTP/1.1 client that costs next to nothing: one kept connection over asyncio streams, TCP or a Unix socket.

The client stands inside every figure, so it must not be what is measured. Deliberately no general client: it reads what
our own servers send and trusts them. Used by every benchmark and by the bare connector of `floor/`.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server listens: a loopback port, or a Unix socket."""

    port: int | None = None
    socket: Path | None = None

    @property
    def host(self) -> str:
        """What the Host header says."""
        return "localhost" if self.port is None else f"127.0.0.1:{self.port}"


class Connection:
    """One connection, used for one request at a time."""

    def __init__(self, address: Address, headers: Mapping[str, str] | None = None) -> None:
        """`headers` go with every request."""
        self._address = address
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        if self._address.socket is not None:
            self._reader, self._writer = await asyncio.open_unix_connection(str(self._address.socket))
        else:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._address.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def ask(self, method: str, path: str, body: bytes = b"", headers: str = "") -> tuple[int, bytes]:
        """Send a request; the answer's status and content. `headers` are complete lines."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._address.host}\r\n{self._headers}{headers}"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(f"{head}\r\n".encode() + body)
        return await self._answer()

    async def _answer(self) -> tuple[int, bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        if b"transfer-encoding: chunked" in head:
            return status, await self._chunks()
        start = head.index(b"content-length:") + len(b"content-length:")
        return status, await self._reader.readexactly(int(head[start : head.index(b"\r\n", start)]))

    async def _chunks(self) -> bytes:
        content = bytearray()
        while size := int(await self._reader.readline(), 16):
            content += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return bytes(content)
