"""The daemon's HTTP client: how everything on this machine that is not the daemon speaks to it.

Finds the daemon by its home, calls operations of the table, raises the error table's errors. The standard library's
HTTP over the daemon's socket: a command line has no time to import more. Deliberately starts nothing
(`client/starting.py` does). Called by the CLI.
Tests: tests/integration/daemon/test_cli.py, tests/unit/daemon/client/test_http.py.
"""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel

from local_daemon.client import address, answers
from local_daemon.client.errors import DaemonUnreachable
from local_daemon.config import home as homes
from local_daemon.protocol import errors, events, ids, limits, messages
from local_daemon.protocol.operations import OPERATIONS

M = TypeVar("M", bound=BaseModel)

_BASE_PATH = "/api/v1"
_SLACK_S = 10.0
_STREAM_SILENCE_S = 45.0
"""Three keepalives that did not come."""
_PIECE_BYTES = 64 * limits.KIB


class DaemonClient:
    """Asks one daemon. Each request has a connection of its own, so several threads may ask at once."""

    def __init__(self, *, socket_path: str, token: str, timeout_s: float) -> None:
        """Use `connect`."""
        self._socket_path = socket_path
        self._token = token
        self._timeout_s = timeout_s

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
        Raises the error table's errors, ProtocolMismatch where either side's words are none to the other,
        DaemonUnreachable."""
        operation = OPERATIONS[name]
        headers = {} if call_id is None else {"Ropeway-Call-Id": call_id}
        path = _BASE_PATH + operation.render_path(parameters or {})
        content = None if body is None else body.model_dump_json().encode()
        asked = self._asked(operation.method, path, query=query, content=content, headers=headers)
        with answers.request_understood(), asked as response:
            content = response.read()
        return answers.answer_read(answer, content)

    def probe(self) -> None:
        """Whether the daemon answers at all. Raises DaemonUnreachable: its address may be of one that crashed."""
        try:
            with self._asked("GET", "/livez") as response:
                response.read()
        except errors.DeadlineExceeded as error:
            raise DaemonUnreachable from error
        except errors.RopewayError:
            return  # Its answer is one, whatever it says.

    def content(self, parameters: Mapping[str, str], *, offset: int = 0) -> Iterator[bytes]:
        """The bytes of an artifact from `offset` on, piece by piece."""
        path = _BASE_PATH + OPERATIONS["artifacts.content"].render_path(parameters)
        with self._asked("GET", path, query={"offset": offset}) as response:
            while piece := response.read(_PIECE_BYTES):
                yield piece
            if response.length:
                raise DaemonUnreachable("The daemon stopped.")

    def log_follow(
        self, parameters: Mapping[str, str], *, stream: str = "stdout", offset: int = 0
    ) -> Iterator[messages.LogChunk]:
        """A step's output piece by piece, as it comes, until the step has settled; from `offset` in its newest.
        Raises as `call` does."""
        path = _BASE_PATH + OPERATIONS["steps.log"].render_path(parameters) + "/stream"
        query = {"stream": stream, "offset": offset}
        with self._asked("GET", path, query=query, timeout_s=_STREAM_SILENCE_S) as response:
            for line in _lines(response):
                if line.rstrip() == b"event: end":
                    return
                if line.startswith(b"data: "):
                    yield answers.answer_read(messages.LogChunk, line.removeprefix(b"data: "))
        raise DaemonUnreachable("The daemon stopped.")

    def message(self, content: bytes, *, revision: str | None = None) -> bytes:
        """One MCP message to the daemon, in the protocol's revision that was agreed upon, and its answer; empty where
        it wants none."""
        headers = {"Accept": "application/json, text/event-stream"}
        if revision is not None:
            headers["MCP-Protocol-Version"] = revision
        with self._asked("POST", "/mcp", content=content, headers=headers, is_problem=_is_no_message) as response:
            return response.read()

    def events_follow(
        self, repository_id: str, *, after_seq: int, timeout_s: float | None = None
    ) -> Iterator[events.EventRecord]:
        """Every event of a repository after a position, as it happens; for ever, or until the time is over. Raises as
        `call` does."""
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
        query = {"repository_id": repository_id, "after_seq": after_seq}
        with self._asked("GET", _BASE_PATH + "/events/stream", query=query, timeout_s=timeout_s) as response:
            for line in _lines(response):
                if not line.strip():
                    continue
                yield from answers.answer_read(_Batch, line).records
                if not is_followed:
                    return
        raise DaemonUnreachable("The daemon stopped.")

    @contextmanager
    def _asked(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        is_problem: Callable[[http.client.HTTPResponse], bool] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer, if it is none of the error table's errors. Raises those, and DaemonUnreachable."""
        said = {"Authorization": f"Bearer {self._token}", "Connection": "close", **(headers or {})}
        if content is not None:
            said["Content-Type"] = "application/json"
        target = f"{path}?{urlencode(query)}" if query else path
        connection = _Connection(self._socket_path, self._timeout_s if timeout_s is None else timeout_s)
        with _readable_failures(), closing(connection):
            # Where it is refused before all of it was read, the answer says why.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target, body=content, headers=said)
            with closing(connection.getresponse()) as response:
                if (is_problem or _is_problem)(response):
                    raise _problem(response.read())
                yield response


class _Batch(BaseModel):
    """A line of the events' stream."""

    records: tuple[events.EventRecord, ...]


class _Connection(http.client.HTTPConnection):
    """To the daemon's socket."""

    def __init__(self, socket_path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._socket_path = socket_path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._socket_path)


@contextmanager
def _readable_failures() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise errors.DeadlineExceeded from error
    except (OSError, http.client.HTTPException) as error:
        raise DaemonUnreachable from error


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """What a stream tells, line by line; one that its end cut off is none."""
    return (line for line in response if line.endswith(b"\n"))


def _is_problem(response: http.client.HTTPResponse) -> bool:
    return not 200 <= response.status < 300


def _is_no_message(response: http.client.HTTPResponse) -> bool:
    """A refusal of the door itself; one of MCP is a message."""
    return _is_problem(response) and not response.headers.get("Content-Type", "").startswith("application/json")


def _problem(content: bytes) -> errors.RopewayError:
    try:
        problem = json.loads(content)
    except ValueError:
        problem = {}
    return errors.from_problem(problem if isinstance(problem, dict) else {})


@contextmanager
def connect(home: homes.Home, *, timeout_s: float = limits.WAIT_S_MAX + _SLACK_S) -> Iterator[DaemonClient]:
    """A client of the daemon that runs in this home. Raises DaemonUnreachable if none does."""
    named = address.address_read(home)
    if named is None:
        raise DaemonUnreachable
    try:
        token = home.token.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise DaemonUnreachable from error
    except PermissionError as error:
        raise address.not_yours(home) from error
    yield DaemonClient(socket_path=named.socket, token=token, timeout_s=timeout_s)


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
