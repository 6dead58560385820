"""The cloud's doors for a machine that has no link yet: enroll, register, ask. Plain HTTPS requests.

Called by `enrollment`. Tests: tests/integration/connector/test_enrollment.py.
"""

import json
import ssl
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from local_daemon.protocol import enrollment, errors

M = TypeVar("M", bound=BaseModel)

_TIMEOUT_S = 30.0
_ANSWER_BYTES = 64 * 1024


class CloudUnreachable(Exception):
    """The cloud did not answer; check the URL, the network and the proxy."""


class CloudClient:
    """Requests to one cloud."""

    def __init__(self, url: str, *, ca_file: str | None = None) -> None:
        """`ca_file` replaces the system's certificates."""
        self._url = url
        try:
            self._verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=ca_file) if ca_file else True
        except OSError as error:
            raise CloudUnreachable(f"ca_file holds no certificates that can be read: {error}") from error

    def enroll(self, request: enrollment.EnrollRequest) -> enrollment.EnrollAnswer:
        """Enroll with a one-time code. Raises the error table's errors, CloudUnreachable."""
        return self._post(enrollment.ENROLL_PATH, request, enrollment.EnrollAnswer)

    def register(self, request: enrollment.RegisterRequest) -> enrollment.RegisterAnswer:
        """Ask to be claimed."""
        return self._post(enrollment.REGISTER_PATH, request, enrollment.RegisterAnswer)

    def registration(self, request: enrollment.RegistrationRequest) -> enrollment.RegistrationAnswer:
        """Ask whether one was claimed."""
        return self._post(enrollment.REGISTRATION_PATH, request, enrollment.RegistrationAnswer)

    def _post(self, path: str, request: BaseModel, answer: type[M]) -> M:
        try:
            response = httpx.post(
                self._url + path,
                content=request.model_dump_json(exclude_none=True),
                headers={"Content-Type": "application/json"},
                timeout=_TIMEOUT_S,
                verify=self._verify,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise CloudUnreachable(f"{self._url} did not answer: {error}") from error
        if response.is_success:
            try:
                return answer.model_validate_json(response.content[:_ANSWER_BYTES])
            except ValidationError:
                raise CloudUnreachable(f"{self._url} is no Ropeway cloud: its answer is not one") from None
        try:
            problem = json.loads(response.content[:_ANSWER_BYTES])
        except ValueError:
            problem = None
        if not isinstance(problem, dict) or "code" not in problem:
            raise CloudUnreachable(f"{self._url} is no Ropeway cloud: it answered {response.status_code}")
        raise errors.from_problem(problem)
