"""The door over the network: the same routes, asked of a cloud by URL with a token.

The system's certificates, or --ca-file; proxies as the environment says (HTTPS_PROXY, NO_PROXY), but none in front of
this very machine, which would read the token; no redirect is followed, for it would carry the token along. Tests:
tests/journeys/test_cloudctl.py, tests/integration/cloud/cloudctl/test_remote.py.
"""

import json
import secrets
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2

from cloud.cloudctl.door import PREFIX, Address
from local_daemon.protocol import errors, limits
from local_daemon.protocol.operations import OPERATIONS

_BELOW_PROJECT = "/repositories/{repository_id}"
_SLACK_S = 10.0
_ANSWER_BYTES = 4 * limits.BODY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteDoor:
    """One organization: the token's."""

    address: Address
    client: httpx2.Client
    is_in_place: bool = False

    def ask(
        self,
        method: str,
        path: str,
        names: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        if_match: str | None = None,
    ) -> Any:
        """One route's answer."""
        filled = path.format(**{name: quote(str(value), safe="") for name, value in (names or {}).items()})
        headers = {} if if_match is None else {"If-Match": if_match}
        return self._answer(method, PREFIX + filled, query or {}, body, headers)

    def machine(
        self,
        operation: str,
        *,
        project_id: str,
        location: str | None,
        parameters: Mapping[str, str],
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None,
    ) -> Any:
        """One operation of a machine."""
        asked = OPERATIONS[operation]
        headers = {"Idempotency-Key": f"cloudctl:{secrets.token_hex(16)}"} if asked.mutates else {}
        where = {} if location is None else {"location": location}
        path = self._machine_path(operation, project_id, parameters)
        return self._answer(asked.method, path, {**query, **where}, body, headers)

    def content(self, *, project_id: str, location: str | None, artifact_id: str) -> bytes:
        """An artifact's bytes."""
        path = self._machine_path("artifacts.content", project_id, {"artifact_id": artifact_id})
        with self._asked("GET", path, {} if location is None else {"location": location}) as response:
            return _whole(response)

    def save(self, path: str, *, query: Mapping[str, Any], out: Any) -> Mapping[str, str]:
        """What a route hands out, piece by piece; the headers that it came with."""
        with self._asked("GET", PREFIX + path, query) as response:
            for piece in response.iter_bytes():
                out.write(piece)
            return response.headers

    def _machine_path(self, operation: str, project_id: str, parameters: Mapping[str, str]) -> str:
        below = OPERATIONS[operation].path.removeprefix(_BELOW_PROJECT)
        filled = below.format(**{name: quote(value, safe="") for name, value in parameters.items()})
        return f"/api/v2/projects/{quote(project_id, safe='')}{filled}"

    def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> Any:
        with self._asked(method, path, query, body, headers) as response:
            try:
                return json.loads(_whole(response) or b"null")
            except ValueError:
                raise _not_a_cloud(self.address.url, response) from None

    @contextmanager
    def _asked(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[httpx2.Response]:
        try:
            with self.client.stream(
                method, path, params=dict(query), json=body, headers=dict(headers or {})
            ) as response:
                if response.is_success:
                    yield response
                    return
                problem = _problem(_whole(response))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise errors.DeadlineExceeded(
                f"{self.address.url} does not answer: {error or type(error).__name__}"
            ) from error
        if problem is None:
            raise _not_a_cloud(self.address.url, response)
        raise errors.from_problem(problem)


def remote_door(address: Address, organization: str | None) -> RemoteDoor:
    """Into the token's organization. Raises NotFound where another one is named."""
    try:
        verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=address.ca_file) if address.ca_file else True
    except OSError as error:
        raise errors.InvalidRequest(f"--ca-file holds no certificates that can be read: {error}") from error
    client = httpx2.Client(
        base_url=address.url,
        headers={"Authorization": f"Bearer {address.token}", "Accept": "application/json"},
        verify=verify,
        trust_env=not address.is_here,
        # A machine may hold an answer back, for as long as a call may take.
        timeout=httpx2.Timeout(
            max(address.timeout_s, limits.CALL_DEADLINE_S_MAX + _SLACK_S), connect=address.timeout_s
        ),
    )
    door = RemoteDoor(address=address, client=client)
    if organization is not None:
        mine = door.ask("GET", "/me")["organization"]
        if organization not in (mine["slug"], mine["organization_id"]):
            raise errors.NotFound(f"The token is of {mine['slug']!r}, not of {organization!r}.")
    return door


def _whole(response: httpx2.Response) -> bytes:
    pieces, size_bytes = [], 0
    for piece in response.iter_bytes():
        pieces.append(piece)
        size_bytes += len(piece)
        if size_bytes > _ANSWER_BYTES:
            raise errors.PayloadTooLarge(limit=_ANSWER_BYTES)
    return b"".join(pieces)


def _problem(content: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(content)
    except ValueError:
        return None
    return told if isinstance(told, dict) and "code" in told else None


def _not_a_cloud(url: str, response: httpx2.Response) -> errors.RopewayError:
    return errors.InvalidRequest(
        f"{url} is no Ropeway cloud, or stands before one: it answered {response.status_code}."
    )
