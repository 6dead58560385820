"""OpenTelemetry spans of a call at the edge: the connector's way to the daemon, and the daemon's answer.

Off unless a collector is named in the environment, as in the cloud; until then nothing of OpenTelemetry is imported and
a span costs one look at None. Here because connector and daemon share nothing else, as with failpoints. A span says the
operation, the call's id and how it ended, never what was asked or answered. Called by `connector_agent` and
`local_daemon`. Tests: tests/unit/daemon/protocol/test_tracing.py,
tests/integration/connector/test_tracing.py, tests/integration/daemon/test_tracing.py.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from local_daemon.protocol import errors

LAST_SEND_S = 2.0
"""How long a process that ends waits for its collector."""
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class TracingNotInstalled(errors.InvalidRequest):
    """A collector for spans is named in the environment, but OpenTelemetry is missing: install the extra `tracing`."""


class _Installed:
    """What makes spans in this process; None: nothing does."""

    tracer: Any = None


def install(service_name: str) -> Callable[[], None]:
    """Send spans if a collector is named; gives what sends the last of them, for LAST_SEND_S at most. Raises
    TracingNotInstalled."""
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return _nothing
    try:
        # Imported by who traces only.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise TracingNotInstalled from error
    resource = Resource.create({"service.name": service_name})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracer_install(provider.get_tracer("ropeway"))
    return partial(last_send, provider.shutdown)


def last_send(send: Callable[[], object]) -> None:
    """Have the last spans sent by what may take long: the SDK tries a collector that is down for many seconds, and
    takes no time to end by."""
    # A daemon's thread: it does not outlive the process, nor hold it.
    sending = threading.Thread(target=send, name="last-spans", daemon=True)
    sending.start()
    sending.join(LAST_SEND_S)


def tracer_install(tracer: Any) -> None:
    """Make spans with this tracer from now on; None: with none."""
    _Installed.tracer = tracer


def call_span(
    name: str, *, operation: str, call_id: str | None, traceparent: str | None
) -> AbstractContextManager[str | None]:
    """A part of a call, below the span that it came with; gives the `traceparent` for who is asked next."""
    if _Installed.tracer is None:
        return nullcontext(traceparent)
    return _span(_Installed.tracer, f"{name} {operation}", operation, call_id, traceparent)


def _nothing() -> None:
    """There is nothing to send."""


@contextmanager
def _span(tracer: Any, name: str, operation: str, call_id: str | None, traceparent: str | None) -> Iterator[str | None]:
    from opentelemetry import trace  # noqa: PLC0415 - imported by who traces only
    from opentelemetry.context import Context  # noqa: PLC0415 - likewise
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - likewise

    propagator = TraceContextTextMapPropagator()
    carrier: dict[str, str] = {}
    known = {"ropeway.operation": operation, **({"ropeway.call_id": call_id} if call_id else {})}
    above = propagator.extract({"traceparent": traceparent} if traceparent else {}, context=Context())
    span = tracer.start_span(name, context=above, kind=trace.SpanKind.SERVER, attributes=known)
    propagator.inject(carrier, context=trace.set_span_in_context(span))
    try:
        yield carrier.get("traceparent", traceparent)
    except BaseException as error:
        # Its kind alone: a message may hold a path of this machine.
        span.set_status(trace.Status(trace.StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        span.end()
