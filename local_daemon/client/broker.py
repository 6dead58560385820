"""The HTTP door to an Antigravity broker: one request, one answer of a bounded size, and no redirect is followed.

Deliberately the standard library's client, since an attempt's process and a probe need no more. Knows nothing of tasks:
`executors/antigravity_client.py` does. Tests: tests/integration/daemon/executors/test_antigravity.py.
"""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ANSWER_BYTES_MAX = 64 * 1024
_TIMEOUT_S = 10.0
_REASON_CHARACTERS_MAX = 500


class AnswerUnfit(Exception):
    """The broker's answer makes no sense: too long, or not what it says that it is."""


class Unreached(Exception):
    """Nobody answers there: nothing was asked for."""


MISHAPS = (OSError, http.client.HTTPException, AnswerUnfit, Unreached)
"""How a request may fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the broker said; `document` is empty where it was no JSON object."""

    status: int
    content: bytes
    document: Mapping[str, Any]

    @property
    def words(self) -> str:
        """A short text of it."""
        return self.content.decode("utf-8", errors="replace").strip()[:_REASON_CHARACTERS_MAX]


def ask(url: str, method: str, path: str, body: object = None, *, bytes_max: int = ANSWER_BYTES_MAX) -> Answer:
    """One request to the broker, which is followed nowhere else. Raises MISHAPS; Unreached where it was not sent."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        connection.connect()
    except OSError as error:
        raise Unreached(f"it can't be reached: {reason_of(error)}") from error
    try:
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(
            method, parts.path.rstrip("/") + path, None if body is None else json.dumps(body).encode(), headers
        )
        response = connection.getresponse()
        content = response.read(bytes_max + 1)
    finally:
        connection.close()
    if len(content) > bytes_max:
        raise AnswerUnfit(f"longer than {bytes_max} bytes")
    return Answer(status=response.status, content=content, document=_document(content))


def reason_of(error: Exception) -> str:
    """Why a request failed, without a path or an address."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error) or type(error).__name__


def _document(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
