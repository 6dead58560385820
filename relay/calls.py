"""What the relay carries: a call on its way to a machine, and its answer on the way back.

Values only. `ports.py` says who gives and takes them, `links.py` puts them on a wire. Tests: tests/unit/relay/.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from local_daemon.protocol import envelopes, errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call for a machine. Its parameters name the repository; it was recorded as sent before it is handed over."""

    call_id: str
    operation: str
    parameters: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
    deadline_at: datetime
    actor: str
    traceparent: str | None = None


class Content(Protocol):
    """Bytes that follow an answer. Read once; whoever stops early closes it, so that the machine stops sending."""

    @property
    def head(self) -> envelopes.StreamHead:
        """What is coming."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes, as they come. Raises a RopewayError when they end early or are damaged."""

    async def read(self, *, max_bytes: int) -> bytes:
        """All of it. Raises PayloadTooLarge over `max_bytes`, and what ended it early."""

    async def aclose(self) -> None:
        """No more is wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a machine said: a body, a problem, or bytes that follow."""

    status: int
    body: Any = None
    problem: Mapping[str, Any] | None = None
    content: Content | None = None

    @classmethod
    def refusal(cls, error: errors.RopewayError) -> "Answer":
        """The answer to a call that was refused on the way."""
        return cls(status=error.row.http, problem=error.problem())

    def raised(self) -> "Answer":
        """Itself. Raises the error it carries, if it carries one."""
        if self.problem is not None:
            raise errors.from_problem(self.problem)
        return self
