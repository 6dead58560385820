"""A daemon that does as the test says: real HTTP on a real Unix socket; no record is behind it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_daemon.protocol import ids

REPOSITORY = str(ids.new_id(ids.IdPrefix.REPOSITORY))
PRIVATE_REPOSITORY = str(ids.new_id(ids.IdPrefix.REPOSITORY))
LOG = str(ids.new_id(ids.IdPrefix.LOG))
_NOW = "2026-01-01T00:00:00Z"

Answering = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


def answer(document: Any, *, status: int = 200) -> bytes:
    """A whole answer."""
    content = json.dumps(document).encode()
    return b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n" % (status, len(content)) + content


def repository(repository_id: str) -> dict[str, Any]:
    """A repository, as the daemon shows it."""
    return {
        "repository_id": repository_id, "label": "r", "log_id": LOG, "head_seq": 0, "head_hash": "0" * 64,
        "created_at": _NOW,
    }  # fmt: skip


INSTANCE = {
    "instance_id": str(ids.new_id(ids.IdPrefix.INSTANCE)), "version": "1", "protocol_version": 1, "hostname": "h",
    "platform": "p", "public_key": "", "started_at": _NOW,
}  # fmt: skip


@dataclass(slots=True, kw_only=True)
class ScriptedDaemon:
    """Answers who it is by itself, and everything else as `answering` says."""

    home: Path
    answering: Answering
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                for line in head.split("\r\n"):
                    name, _, value = line.partition(":")
                    if name.lower() == "content-length":
                        await reader.readexactly(int(value))
                self.heads.append(head)
                target = head.split(" ", 2)[1]
                await self._answer(target, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            self.writers.discard(writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, target: str, writer: asyncio.StreamWriter) -> None:
        if target == "/api/v1/instance":
            writer.write(answer(INSTANCE))
        elif target == "/api/v1/repositories":
            writer.write(answer({"items": [repository(REPOSITORY), repository(PRIVATE_REPOSITORY)]}))
        else:
            self.asked.append(target)
            await self.answering(target, writer)

    def drop(self) -> None:
        """End every connection, as a daemon that is killed does."""
        for writer in self.writers:
            writer.transport.abort()


@asynccontextmanager
async def daemon_open(home: Path, answering: Answering) -> AsyncIterator[ScriptedDaemon]:
    """A daemon that answers until the block ends."""
    daemon = ScriptedDaemon(home=home, answering=answering)
    socket = home / "s"
    home.mkdir(exist_ok=True)
    (home / "daemon.json").write_text(json.dumps({"socket": str(socket)}))
    (home / "token").write_text("secret")
    server = await asyncio.start_unix_server(daemon.serve, str(socket))
    async with server:
        yield daemon
        daemon.drop()
    socket.unlink(missing_ok=True)
