"""The connector's side of the daemon's HTTP door: calls, contents and the event stream, over its Unix socket.

Knows paths only through the table of operations. The daemon may go and come back; each request finds it anew. Called by
`forwarder` and `event_tail`. Tests: tests/integration/connector/test_serving.py, test_event_tail.py, test_cli.py.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError

from connector_agent import daemon_http
from local_daemon.protocol import errors, limits, messages
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.operations import OPERATIONS

M = TypeVar("M", bound=BaseModel)

_PREFIX = "/api/v1"
_VIEW_S = 5.0
_STREAM_SILENCE_S = 45.0
"""The daemon's stream says something every 15 s."""


class DaemonAnswer:
    """What the daemon answered, its content unread."""

    def __init__(self, answer: daemon_http.Answer) -> None:
        """Made by `DaemonClient.call`."""
        self._answer = answer
        self.status = answer.status
        self.headers = answer.headers

    @property
    def is_success(self) -> bool:
        """Whether it is an answer rather than a problem."""
        return 200 <= self.status < 300

    async def read(self) -> bytes:
        """All of the content. Raises ConnectorOffline if the daemon goes meanwhile."""
        try:
            return await self._answer.read()
        except daemon_http.DaemonGone as error:
            raise _gone() from error

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content as it comes, in pieces that fit a chunk. Raises ConnectorOffline if the daemon goes meanwhile."""
        try:
            async for piece in self._answer.pieces():
                yield piece
        except daemon_http.DaemonGone as error:
            raise _gone() from error


class DaemonClient:
    """One connection pool to the daemon of one home directory."""

    def __init__(self, home: Path) -> None:
        """`home` is the daemon's."""
        self._home = home
        self._known: tuple[str, str] | None = None
        self._pool: daemon_http.Pool | None = None

    async def close(self) -> None:
        """Let go of every connection."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    async def instance(self) -> messages.InstanceView:
        """Who the daemon is. Raises ConnectorOffline if it does not answer."""
        return await self._view("instance.get", messages.InstanceView)

    async def repositories(self) -> messages.RepositoryPage:
        """What it knows, all of it."""
        found: tuple[messages.RepositoryView, ...] = ()
        cursor: str | None = None
        while True:
            query = {} if cursor is None else {"cursor": cursor}
            page = await self._view("repositories.list", messages.RepositoryPage, query=query)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return messages.RepositoryPage(items=found)

    async def events_list(self, repository_id: str, *, after_seq: int, limit: int) -> messages.EventPage:
        """Events after a position, and where the log stands. Raises ConnectorOffline, NotFound."""
        return await self._view(
            "events.list",
            messages.EventPage,
            parameters={"repository_id": repository_id},
            query={"after_seq": after_seq, "limit": limit},
        )

    @asynccontextmanager
    async def call(
        self,
        operation: Operation,
        *,
        parameters: Mapping[str, str],
        query: Mapping[str, Any],
        body: Any,
        headers: Mapping[str, str],
        timeout_s: float,
    ) -> AsyncIterator[DaemonAnswer]:
        """One call, its answer unread. Raises ConnectorOffline if the daemon does not answer, DeadlineExceeded if it
        does not in time."""
        target = _PREFIX + operation.render_path(parameters)
        if query:
            target += "?" + urlencode({name: _text(value) for name, value in query.items()})
        content = None if operation.request is None else json.dumps({} if body is None else body).encode()
        pool = self._connected()
        try:
            async with asyncio.timeout(timeout_s):
                answer = await pool.ask(operation.method, target, headers=headers, content=content)
        except TimeoutError as error:
            raise errors.DeadlineExceeded from error
        except daemon_http.DaemonGone as error:
            raise _gone() from error
        try:
            yield DaemonAnswer(answer)
        finally:
            pool.done(answer)

    async def events(self, repository_id: str, *, after_seq: int) -> AsyncIterator[Any]:
        """The repository's events after a position, batch by batch, for as long as the daemon lives. Raises
        ConnectorOffline when it goes."""
        query = urlencode({"repository_id": repository_id, "after_seq": str(after_seq)})
        async for line in self._follow(f"{_PREFIX}/events/stream?{query}"):
            yield line

    async def executors(self) -> AsyncIterator[frozenset[str]]:
        """The executors that can be used, now and each time others can, for as long as the daemon lives. Raises
        ConnectorOffline when it goes, NotFound where it is older than this and tells only who asks."""
        async for line in self._follow(f"{_PREFIX}/instance/executors/stream"):
            yield frozenset(line["executors"])

    async def _follow(self, target: str) -> AsyncIterator[Any]:
        """A stream's lines that say something."""
        pool = self._connected()
        try:
            async with asyncio.timeout(_STREAM_SILENCE_S):
                answer = await pool.ask("GET", target, headers={})
            try:
                if not 200 <= answer.status < 300:
                    raise errors.from_problem(json.loads(await answer.read()))
                lines = _lines(answer)
                while (line := await _within_silence(lines)) is not None:
                    if line:
                        yield json.loads(line)
            finally:
                pool.done(answer)
        except (daemon_http.DaemonGone, TimeoutError) as error:
            raise _gone() from error
        raise _gone()

    async def _view(
        self,
        name: str,
        model: type[M],
        *,
        parameters: Mapping[str, str] = MappingProxyType({}),
        query: Mapping[str, Any] = MappingProxyType({}),
    ) -> M:
        call = self.call(OPERATIONS[name], parameters=parameters, query=query, body=None, headers={}, timeout_s=_VIEW_S)
        async with call as answer:
            content = await answer.read()
        if not answer.is_success:
            raise errors.from_problem(json.loads(content))
        try:
            return model.model_validate_json(content)
        except ValidationError as error:
            raise errors.ConnectorOffline(
                "The daemon answers what this connector cannot read; upgrade both."
            ) from error

    def _connected(self) -> daemon_http.Pool:
        """The connections to the daemon that is there now; a restart may have changed its socket and token."""
        try:
            socket = json.loads((self._home / "daemon.json").read_text(encoding="utf-8"))["socket"]
            token = (self._home / "token").read_text(encoding="utf-8").strip()
            if self._pool is None or (socket, token) != self._known:
                if self._pool is not None:
                    self._pool.close()
                self._known = (socket, token)
                self._pool = daemon_http.Pool(Path(socket), token=token)
        except (OSError, ValueError, KeyError) as error:
            raise _gone() from error
        return self._pool


async def _within_silence(lines: AsyncIterator[bytes]) -> bytes | None:
    async with asyncio.timeout(_STREAM_SILENCE_S):
        return await anext(lines, None)


async def _lines(answer: daemon_http.Answer) -> AsyncIterator[bytes]:
    """The content's lines, as soon as each is there."""
    begun = bytearray()
    async for piece in answer.pieces():
        *whole, rest = piece.split(b"\n")
        for line in whole:
            yield bytes(begun) + line
            begun.clear()
        begun += rest


def _gone() -> errors.ConnectorOffline:
    return errors.ConnectorOffline(
        "The machine is connected, but its daemon does not answer; start it there and retry.",
        retry_after_s=limits.RETRY_AFTER_S["connector_offline"],
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
