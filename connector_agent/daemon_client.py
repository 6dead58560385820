"""The connector's side of the daemon's HTTP door: calls, contents and the event stream, over its Unix socket.

Knows paths only through the table of operations. The daemon may go and come back; each request finds it anew. Called by
`forwarder` and `event_tail`. Tests: tests/integration/connector/test_daemon_client.py.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel

from local_daemon.protocol import errors, limits, messages
from local_daemon.protocol.operations import OPERATIONS, Operation

M = TypeVar("M", bound=BaseModel)

_BASE_URL = "http://localhost/api/v1"
_CONNECT_S = 5.0
_STREAM_SILENCE_S = 45.0
"""The daemon's stream says something every 15 s."""


class DaemonAnswer:
    """What the daemon answered, its content unread."""

    def __init__(self, response: httpx.Response) -> None:
        """Made by `DaemonClient.call`."""
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    @property
    def is_success(self) -> bool:
        """Whether it is an answer rather than a problem."""
        return self._response.is_success

    async def read(self) -> bytes:
        """All of the content."""
        return await self._response.aread()

    def pieces(self) -> AsyncIterator[bytes]:
        """The content as it comes, in pieces that fit a chunk."""
        return self._response.aiter_raw(limits.CHUNK_BYTES)


class DaemonClient:
    """One connection pool to the daemon of one home directory."""

    def __init__(self, home: Path) -> None:
        """`home` is the daemon's."""
        self._home = home
        self._socket: str | None = None
        self._http: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Let go of every connection."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def instance(self) -> messages.InstanceView:
        """Who the daemon is. Raises ConnectorOffline if it does not answer."""
        return await self._view("instance.get", messages.InstanceView)

    async def repositories(self) -> messages.RepositoryPage:
        """What it knows."""
        return await self._view("repositories.list", messages.RepositoryPage)

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
        http = await self._client()
        content = None if operation.request is None else json.dumps({} if body is None else body)
        request = http.build_request(
            operation.method,
            _BASE_URL + operation.render_path(parameters),
            params={name: _text(value) for name, value in query.items()},
            content=content,
            headers={**headers, "Content-Type": "application/json"} if content is not None else dict(headers),
            timeout=httpx.Timeout(timeout_s, connect=_CONNECT_S),
        )
        try:
            response = await http.send(request, stream=True)
        except httpx.TimeoutException as error:
            raise errors.DeadlineExceeded from error
        except httpx.TransportError as error:
            raise _gone() from error
        try:
            yield DaemonAnswer(response)
        except httpx.TimeoutException as error:
            raise errors.DeadlineExceeded from error
        except httpx.TransportError as error:
            raise _gone() from error
        finally:
            await response.aclose()

    async def events(self, repository_id: str, *, after_seq: int) -> AsyncIterator[Any]:
        """The repository's events after a position, batch by batch, for as long as the daemon lives. Raises
        ConnectorOffline when it goes."""
        http = await self._client()
        query = {"repository_id": repository_id, "after_seq": str(after_seq)}
        timeout = httpx.Timeout(_STREAM_SILENCE_S, connect=_CONNECT_S)
        try:
            async with http.stream("GET", f"{_BASE_URL}/events/stream", params=query, timeout=timeout) as response:
                if not response.is_success:
                    raise errors.from_problem(json.loads(await response.aread()))
                async for line in response.aiter_lines():
                    if line:
                        yield json.loads(line)
        except httpx.TransportError as error:
            raise _gone() from error
        raise _gone()

    async def _view(self, name: str, model: type[M]) -> M:
        async with self.call(
            OPERATIONS[name], parameters={}, query={}, body=None, headers={}, timeout_s=_CONNECT_S
        ) as answer:
            content = await answer.read()
        if not answer.is_success:
            raise errors.from_problem(json.loads(content))
        return model.model_validate_json(content)

    async def _client(self) -> httpx.AsyncClient:
        try:
            socket = json.loads((self._home / "daemon.json").read_text(encoding="utf-8"))["socket"]
        except (OSError, ValueError, KeyError) as error:
            raise _gone() from error
        if self._http is None or socket != self._socket:
            await self.close()
            try:
                token = (self._home / "token").read_text(encoding="utf-8").strip()
            except OSError as error:
                raise _gone() from error
            self._socket = socket
            self._http = httpx.AsyncClient(
                transport=httpx.AsyncHTTPTransport(
                    uds=socket,
                    limits=httpx.Limits(max_connections=None, max_keepalive_connections=limits.CALLS_IN_FLIGHT),
                ),
                headers={"Authorization": f"Bearer {token}"},
            )
        return self._http


def _gone() -> errors.ConnectorOffline:
    return errors.ConnectorOffline(
        "The machine is connected, but its daemon does not answer; start it there and retry.",
        retry_after_s=limits.RETRY_AFTER_S["connector_offline"],
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
