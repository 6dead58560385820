"""What is seen of a call from outside: its count and duration, its span, its place in the log.

Called by `services` around each call. Tests: tests/integration/cloud/dispatch/test_observation.py.
"""

import asyncio
import logging
import time
from types import TracebackType
from typing import Self
from uuid import UUID

from cloud.metrics import registry
from cloud.tracing import spans
from local_daemon.protocol import errors

logger = logging.getLogger(__name__)

_ALARMING = frozenset({errors.Internal.code, errors.DeadlineExceeded.code})


class Observed:
    """One call, from being asked to being answered. Slotted and hand-made: it is on the path of every call."""

    __slots__ = ("_began", "_facts", "_operation", "_span", "_token", "traceparent")

    def __init__(self, operation: str, traceparent: str | None) -> None:
        self._operation = operation
        self._span = spans.call_span(operation, traceparent)
        self._facts: dict[str, str] = {}
        self.traceparent = traceparent

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        self._token = spans.current_call.set("")
        self.traceparent = self._span.__enter__()
        return self

    def accepted(self, *, call_id: str, organization_id: UUID) -> None:
        """The call is on record, by this id."""
        self._facts = {"call_id": call_id, "organization_id": str(organization_id)}
        spans.current_call.set(call_id)
        spans.describe(operation=self._operation, **self._facts)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._span.__exit__(kind, error, traceback)
        seconds = time.perf_counter() - self._began
        outcome = _outcome(error)
        registry.call_count(self._operation, outcome, seconds)
        level = logging.WARNING if outcome in _ALARMING else logging.DEBUG
        if logger.isEnabledFor(level):
            logger.log(
                level,
                "call ended",
                extra={
                    "event": "call.ended",
                    **self._facts,
                    "operation": self._operation,
                    "outcome": outcome,
                    "duration_ms": round(seconds * 1000, 3),
                },
            )
        spans.current_call.reset(self._token)


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return registry.OK
    if isinstance(error, errors.RopewayError):
        return error.code
    return registry.GONE if isinstance(error, asyncio.CancelledError) else errors.Internal.code
