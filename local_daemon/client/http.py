"""The daemon's HTTP client: how everything on this machine that is not the daemon speaks to it.

Finds the daemon by its home, calls operations of the table, raises the error table's errors. Deliberately starts
nothing (`client/starting.py` does). Called by the CLI. Tests: tests/integration/daemon/test_client.py.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel

from local_daemon.client.errors import DaemonUnreachable
from local_daemon.config import home as homes
from local_daemon.protocol import errors, limits
from local_daemon.protocol.operations import OPERATIONS

M = TypeVar("M", bound=BaseModel)

_BASE_URL = "http://localhost/api/v1"
_SLACK_S = 10.0


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
    ) -> M:
        """Call an operation and return its answer. Raises the error table's errors, DaemonUnreachable."""
        response = self._request(name, parameters or {}, query, body)
        return answer.model_validate_json(response.content)

    def probe(self) -> None:
        """Whether the daemon answers at all. Raises DaemonUnreachable: its address may be of one that crashed."""
        try:
            self._http.get("http://localhost/livez")
        except httpx.TransportError as error:
            raise DaemonUnreachable from error

    def content(self, parameters: Mapping[str, str]) -> bytes:
        """The bytes of an artifact."""
        return self._request("artifacts.content", parameters, None, None).content

    def _request(
        self, name: str, parameters: Mapping[str, str], query: Mapping[str, Any] | None, body: BaseModel | None
    ) -> httpx.Response:
        operation = OPERATIONS[name]
        try:
            response = self._http.request(
                operation.method,
                _BASE_URL + operation.render_path(parameters),
                params=dict(query) if query else None,
                content=None if body is None else body.model_dump_json(),
                headers={"Content-Type": "application/json"} if body is not None else None,
            )
        except httpx.TransportError as error:
            raise DaemonUnreachable from error
        if response.is_success:
            return response
        try:
            problem = json.loads(response.content)
        except ValueError:
            problem = {}
        raise errors.from_problem(problem)


@contextmanager
def connect(home: homes.Home) -> Iterator[DaemonClient]:
    """A client of the daemon that runs in this home. Raises DaemonUnreachable if none does."""
    try:
        address = json.loads(home.address.read_text(encoding="utf-8"))
        token = home.token.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, ValueError) as error:
        raise DaemonUnreachable from error
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=address["socket"]),
        headers={"Authorization": f"Bearer {token}"},
        timeout=limits.WAIT_S_MAX + _SLACK_S,
    ) as http:
        yield DaemonClient(http)


@contextmanager
def connect_or_start(home: homes.Home, start: Callable[[homes.Home], None] | None) -> Iterator[DaemonClient]:
    """As `connect`; where no daemon answers, `start` one first, if there is a way."""
    with ExitStack() as stack:
        try:
            client = stack.enter_context(connect(home))
            client.probe()
        except DaemonUnreachable:
            if start is None:
                raise
            stack.close()
            start(home)
            client = stack.enter_context(connect(home))
        yield client
