"""The daemon's HTTP client: how everything on this machine that is not the daemon speaks to it.

Finds the daemon by its home, calls operations of the table, raises the error table's errors. Deliberately starts
nothing (`client/starting.py` does). Called by the CLI. Tests: tests/integration/daemon/test_cli.py.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel

from local_daemon.client.errors import DaemonUnreachable
from local_daemon.config import home as homes
from local_daemon.protocol import errors, events, ids, limits, messages
from local_daemon.protocol.operations import OPERATIONS

M = TypeVar("M", bound=BaseModel)

_BASE_URL = "http://localhost/api/v1"
_SLACK_S = 10.0
_STREAM_SILENCE_S = 45.0
"""Three keepalives that did not come."""


class DaemonClient:
    """One connection pool to one daemon."""

    def __init__(self, http: httpx.Client) -> None:
        """Use `connect`."""
        self._http = http

    def call(
        self,
        name: str,
        answer: type[M],
        *,
        parameters: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: BaseModel | None = None,
        call_id: ids.CallId | None = None,
    ) -> M:
        """Call an operation and return its answer. With a `call_id`, calling again repeats the answer, not the effect.
        Raises the error table's errors, DaemonUnreachable."""
        operation = OPERATIONS[name]
        headers = {} if body is None else {"Content-Type": "application/json"}
        if call_id is not None:
            headers["Ropeway-Call-Id"] = call_id
        with _readable_failures():
            response = self._http.request(
                operation.method,
                _BASE_URL + operation.render_path(parameters or {}),
                params=dict(query) if query else None,
                content=None if body is None else body.model_dump_json(),
                headers=headers,
            )
        _raise_problem(response)
        return answer.model_validate_json(response.content)

    def probe(self) -> None:
        """Whether the daemon answers at all. Raises DaemonUnreachable: its address may be of one that crashed."""
        try:
            self._http.get("http://localhost/livez")
        except httpx.TransportError as error:
            raise DaemonUnreachable from error

    def content(self, parameters: Mapping[str, str]) -> Iterator[bytes]:
        """The bytes of an artifact, piece by piece."""
        path = OPERATIONS["artifacts.content"].render_path(parameters)
        with _readable_failures(), self._http.stream("GET", _BASE_URL + path) as response:
            if not response.is_success:
                response.read()
            _raise_problem(response)
            yield from response.iter_bytes()

    def log_follow(
        self, parameters: Mapping[str, str], *, stream: str = "stdout", offset: int = 0
    ) -> Iterator[messages.LogChunk]:
        """A step's output piece by piece, as it comes, until the step has settled; from `offset` in its newest."""
        path = _BASE_URL + OPERATIONS["steps.log"].render_path(parameters) + "/stream"
        query = {"stream": stream, "offset": str(offset)}
        with (
            _readable_failures(),
            self._http.stream("GET", path, params=query, timeout=_STREAM_SILENCE_S) as response,
        ):
            if not response.is_success:
                response.read()
            _raise_problem(response)
            for line in response.iter_lines():
                if line == "event: end":
                    return
                if line.startswith("data: "):
                    yield messages.LogChunk.model_validate_json(line.removeprefix("data: "))
        raise DaemonUnreachable("The daemon stopped.")

    def message(self, content: bytes) -> bytes:
        """One MCP message to the daemon, and its answer; empty where it wants none."""
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        with _readable_failures():
            response = self._http.post("http://localhost/mcp", content=content, headers=headers)
        if not response.headers.get("content-type", "").startswith("application/json"):
            _raise_problem(response)
        return response.content

    def events_follow(
        self, repository_id: str, *, after_seq: int, timeout_s: float | None = None
    ) -> Iterator[events.EventRecord]:
        """Every event of a repository after a position, as it happens; for ever, or until the time is over."""
        ends_at = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = _STREAM_SILENCE_S if ends_at is None else ends_at - time.monotonic()
            if left <= 0:
                return
            try:
                for record in self._events_once(repository_id, after_seq, is_followed=ends_at is None, timeout_s=left):
                    after_seq = record.seq
                    yield record
            except errors.DeadlineExceeded:
                if ends_at is None:
                    raise DaemonUnreachable from None

    def _events_once(
        self, repository_id: str, after_seq: int, *, is_followed: bool, timeout_s: float
    ) -> Iterator[events.EventRecord]:
        """One stream: all of it, or only its next batch. Raises DeadlineExceeded after a silence of `timeout_s`."""
        query = {"repository_id": repository_id, "after_seq": str(after_seq)}
        path = _BASE_URL + "/events/stream"
        with _readable_failures(), self._http.stream("GET", path, params=query, timeout=timeout_s) as response:
            if not response.is_success:
                response.read()
            _raise_problem(response)
            for line in response.iter_lines():
                if not line:
                    continue
                yield from (events.EventRecord.model_validate(record) for record in json.loads(line)["records"])
                if not is_followed:
                    return
        raise DaemonUnreachable("The daemon stopped.")


@contextmanager
def _readable_failures() -> Iterator[None]:
    try:
        yield
    except httpx.ReadTimeout as error:
        raise errors.DeadlineExceeded from error
    except httpx.TransportError as error:
        raise DaemonUnreachable from error


def _raise_problem(response: httpx.Response) -> None:
    if response.is_success:
        return
    try:
        problem = json.loads(response.content)
    except ValueError:
        problem = {}
    raise errors.from_problem(problem if isinstance(problem, dict) else {})


@contextmanager
def connect(home: homes.Home, *, timeout_s: float = limits.WAIT_S_MAX + _SLACK_S) -> Iterator[DaemonClient]:
    """A client of the daemon that runs in this home. Raises DaemonUnreachable if none does."""
    try:
        address = json.loads(home.address.read_text(encoding="utf-8"))
        token = home.token.read_text(encoding="utf-8").strip()
        socket = str(address["socket"])
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError) as error:
        raise DaemonUnreachable from error
    except PermissionError as error:
        raise DaemonUnreachable(f"The home {home.root} is not yours to read.") from error
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=socket),
        headers={"Authorization": f"Bearer {token}"},
        timeout=timeout_s,
    ) as http:
        yield DaemonClient(http)


@contextmanager
def connect_or_start(home: homes.Home, start: Callable[[homes.Home], None] | None) -> Iterator[DaemonClient]:
    """As `connect`, to a daemon that certainly answers; where none does, `start` one first, if there is a way."""
    with ExitStack() as stack:
        try:
            client = stack.enter_context(connect(home))
            client.probe()
        except DaemonUnreachable:
            if start is None:
                raise
            stack.close()
            with homes.start_lock(home):
                if not _is_answered(home):  # Somebody else may have started it meanwhile.
                    start(home)
            client = stack.enter_context(connect(home))
        yield client


def _is_answered(home: homes.Home) -> bool:
    try:
        with connect(home) as client:
            client.probe()
    except DaemonUnreachable:
        return False
    return True
