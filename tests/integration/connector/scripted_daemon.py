"""A daemon that does as the test says: real HTTP on a real Unix socket; no record is behind it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from local_daemon.protocol import errors, ids

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


STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
"""The head of a content that has no end."""


def chunk(document: Any) -> bytes:
    """A line of a stream, in a chunk of its own."""
    content = json.dumps(document).encode() + b"\n"
    return b"%x\r\n%s\r\n" % (len(content), content)


def event(seq: int, *, digest: str) -> dict[str, Any]:
    """An event of a log, as far as its place in it goes."""
    return {"seq": seq, "type": "run.created", "at": _NOW, "data": {}, "prev_hash": "0" * 64, "hash": digest}


@dataclass(slots=True, kw_only=True)
class ScriptedLog:
    """The log of the shared repository: the hashes of its events, in order."""

    hashes: list[str] = field(default_factory=list)

    def page(self, target: str) -> dict[str, Any]:
        """Events after a position, as asked for."""
        query = dict(parse_qsl(urlsplit(target).query))
        after_seq, limit = int(query["after_seq"]), int(query["limit"])
        found = enumerate(self.hashes[after_seq : after_seq + limit], start=after_seq + 1)
        items = [event(seq, digest=digest) for seq, digest in found]
        return {"repository_id": REPOSITORY, "log_id": LOG, "items": items, "head_seq": len(self.hashes)}


@dataclass(slots=True, kw_only=True)
class ScriptedDaemon:
    """Answers who it is and what it can work with by itself, and everything else as `answering` says."""

    home: Path
    answering: Answering
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    log: ScriptedLog = field(default_factory=ScriptedLog)
    executors: tuple[str, ...] = ()
    tells_executors: bool = True
    followers: set[asyncio.StreamWriter] = field(default_factory=set)
    followed: asyncio.Event = field(default_factory=asyncio.Event)

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
            self.followers.discard(writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, target: str, writer: asyncio.StreamWriter) -> None:
        if target == "/api/v1/instance":
            views = [{"name": name, "is_available": True} for name in self.executors]
            writer.write(answer({**INSTANCE, "executors": views}))
        elif target == "/api/v1/instance/executors/stream" and not self.tells_executors:
            writer.write(answer(errors.NotFound("No such path.").problem(), status=404))
        elif target == "/api/v1/instance/executors/stream":
            writer.write(STREAM + chunk({"executors": self.executors}))
            self.followers.add(writer)
            self.followed.set()
        elif target == "/api/v1/repositories":
            writer.write(answer({"items": [repository(REPOSITORY), repository(PRIVATE_REPOSITORY)]}))
        elif target.startswith(f"/api/v1/repositories/{REPOSITORY}/events?"):
            writer.write(answer(self.log.page(target)))
        else:
            self.asked.append(target)
            await self.answering(target, writer)

    def executors_change(self, *names: str) -> None:
        """From now on these can be used; who follows is told."""
        self.executors = names
        for writer in self.followers:
            writer.write(chunk({"executors": names}))

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
