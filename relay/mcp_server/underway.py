"""Requests that are being answered in this process, by who asked and in which session: so that one can be called off.

The revisions with sessions cancel by a message of its own, which arrives as another request. A session is a name and
nothing else: the client is told one when it begins and repeats it, so any process serves any session and nothing is
kept. Best effort, as the protocol has it: a message that another process gets ends nothing, and every wait is bounded.
Called by `transport`. Tests: tests/unit/relay/test_mcp_underway.py.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anyio

_NAME = re.compile(r"[\x21-\x7e]{1,128}")
_CANCELLED = "notifications/cancelled"


@dataclass(frozen=True, slots=True)
class Asking:
    """One request of one session of one caller."""

    caller_id: str
    session: str
    request_id: str


class Underway:
    """The requests that can be called off."""

    def __init__(self) -> None:
        self._scopes: dict[Asking, anyio.CancelScope] = {}

    @contextmanager
    def entered(self, asking: Asking | None) -> Iterator[anyio.CancelScope]:
        """While inside, `call_off` ends what is done here; its scope then says `cancelled_caught`."""
        with anyio.CancelScope() as scope:
            if asking is None:
                yield scope
                return
            self._scopes[asking] = scope
            try:
                yield scope
            finally:
                if self._scopes.get(asking) is scope:
                    del self._scopes[asking]

    def call_off(self, asking: Asking | None) -> None:
        """End it, if it is under way here."""
        scope = self._scopes.get(asking) if asking is not None else None
        if scope is not None:
            scope.cancel()


def asking_of(message: Mapping[str, Any], *, caller_id: object, session: str | None) -> Asking | None:
    """Which request a message is, where it is one that can be called off."""
    return _asking(caller_id, session, message.get("id")) if "method" in message else None


def called_off_by(message: Mapping[str, Any], *, caller_id: object, session: str | None) -> Asking | None:
    """Which request a message calls off, if it does."""
    params = message.get("params")
    if message.get("method") != _CANCELLED or "id" in message or not isinstance(params, dict):
        return None
    return _asking(caller_id, session, params.get("requestId"))


def _asking(caller_id: object, session: str | None, request_id: Any) -> Asking | None:
    if session is None or _NAME.fullmatch(session) is None or not isinstance(request_id, int | str):
        return None
    return Asking(caller_id=str(caller_id), session=session, request_id=json.dumps(request_id))
