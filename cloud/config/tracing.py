"""Where spans go: to a collector by OTLP, where OTEL_EXPORTER_OTLP_ENDPOINT names one; else there are none.

The SDK's own environment variables say the rest (headers, sampling, service name). Needs the extra `tracing`. Called by
the wiring. Tests: tests/unit/cloud/config/test_tracing.py.
"""

import atexit
import os
import threading
from collections.abc import Callable

from cloud.tracing import spans

LAST_SEND_S = 2.0
"""How long a process that ends waits for its collector."""
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class TracingNotInstalled(RuntimeError):
    """A collector is named, but OpenTelemetry is missing: install the extra, `ropeway[tracing]`."""


def install() -> None:
    """Send spans if a collector is named, the last of them when the process ends. Raises TracingNotInstalled."""
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return
    try:
        # Imported by who traces only.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise TracingNotInstalled(str(TracingNotInstalled.__doc__)) from error
    resource = Resource.create({"service.name": "ropeway-cloud"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    atexit.register(last_send(provider.shutdown))
    spans.install(provider.get_tracer("ropeway"))


def last_send(send: Callable[[], object]) -> Callable[[], None]:
    """Gives what has the last spans sent and waits for it, for LAST_SEND_S at most: the SDK tries a collector that is
    down for many seconds, and takes no time to end by."""
    is_ending = threading.Event()

    def sent() -> None:
        is_ending.wait()
        send()

    # Begun now, for an interpreter that ends begins no thread any more; a daemon's, for it must not hold the process.
    sending = threading.Thread(target=sent, name="last-spans", daemon=True)
    sending.start()

    def end() -> None:
        is_ending.set()
        sending.join(LAST_SEND_S)

    return end
