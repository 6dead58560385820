"""OpenTelemetry spans of a call: the whole of it, its acceptance, its way to the machine and back.

Off unless the wiring installs a tracer; until then a span costs one look at None. The trace goes on to the machine in
the call's `traceparent`. Called by dispatch and the wiring. Tests: tests/unit/cloud/tracing/test_spans.py.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Protocol

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()

current_call: ContextVar[str] = ContextVar("current_call", default="")
"""The call under way here, for the log: '' between calls."""


class Tracer(Protocol):
    """The little of an OpenTelemetry tracer that is used."""

    def start_as_current_span(self, name: str, *, context: Any = None, kind: Any = ..., attributes: Any = None) -> Any:
        """A context manager in which the span is the current one."""


class _Installed:
    """What makes spans in this process; None: nothing does."""

    tracer: Tracer | None = None


def install(tracer: Tracer | None) -> None:
    """Make spans with this tracer from now on."""
    _Installed.tracer = tracer


_NOTHING: AbstractContextManager[None] = nullcontext()


def span(name: str, **attributes: str) -> AbstractContextManager[Any]:
    """A part of what is under way."""
    tracer = _Installed.tracer
    if tracer is None:
        return _NOTHING
    return tracer.start_as_current_span(name, attributes=attributes)


@contextmanager
def _call_span(tracer: Tracer, operation: str, traceparent: str | None) -> Iterator[str | None]:
    with _span_below(tracer, f"call {operation}", traceparent):
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        yield carrier.get("traceparent", traceparent)


def call_span(operation: str, traceparent: str | None) -> AbstractContextManager[str | None]:
    """A whole call, in its planner's trace if it gave one; gives the `traceparent` that goes on to the machine."""
    tracer = _Installed.tracer
    if tracer is None:
        return nullcontext(traceparent)
    return _call_span(tracer, operation, traceparent)


def _span_below(tracer: Tracer, name: str, traceparent: str | None) -> AbstractContextManager[Any]:
    """A span below that trace."""
    context = _PROPAGATOR.extract({"traceparent": traceparent}) if traceparent else None
    found: AbstractContextManager[Any] = tracer.start_as_current_span(name, context=context, kind=trace.SpanKind.SERVER)
    return found


def describe(**attributes: str) -> None:
    """Say more of the span under way."""
    if _Installed.tracer is not None:
        trace.get_current_span().set_attributes({f"ropeway.{name}": value for name, value in attributes.items()})
