"""The HTTP door to an Antigravity broker: one request, one answer of bounded size, time and depth; no redirect is
followed.

Deliberately the standard library's client, since an attempt's process and a probe need no more. Knows nothing of tasks:
`executors/antigravity_client.py` does. Tests: tests/unit/daemon/client/test_broker.py.
"""

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from local_daemon.protocol import limits

ANSWER_BYTES_MAX = 64 * 1024
_TIMEOUT_S = 10.0
_ANSWER_S = 15.0
"""From the request to the last byte of its answer: less than what a broker may be silent."""

_REASON_CHARACTERS_MAX = 500


class AnswerUnfit(Exception):
    """The broker's answer makes no sense: too long, too deep, or not what it says that it is."""


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
        with _hung_up_on(connection.sock, after_s=_ANSWER_S):
            headers = {} if body is None else {"Content-Type": "application/json"}
            connection.request(
                method, parts.path.rstrip("/") + path, None if body is None else json.dumps(body).encode(), headers
            )
            with closing(connection.getresponse()) as response:
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


@contextmanager
def _hung_up_on(connected: socket.socket, *, after_s: float) -> Iterator[None]:
    """End a talk that takes longer as a whole: a socket's own timeout starts anew with each byte that drips in. Raises
    TimeoutError then, also where what had come so far looks like an answer."""
    is_over = threading.Event()

    def hang_up() -> None:
        is_over.set()
        with suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(after_s, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        if is_over.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
    if is_over.is_set():
        raise TimeoutError


def _document(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except RecursionError:
        raise AnswerUnfit(f"nested deeper than {limits.JSON_DEPTH}") from None
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    level: list[Any] = [found]
    for _ in range(limits.JSON_DEPTH):
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return found
    raise AnswerUnfit(f"nested deeper than {limits.JSON_DEPTH}")


def _inside(item: Any) -> Iterator[Any]:
    if isinstance(item, dict):
        yield from item.values()
    elif isinstance(item, list):
        yield from item
