"""Where spans go: to a collector by OTLP, where OTEL_EXPORTER_OTLP_ENDPOINT names one; else there are none.

The SDK's own environment variables say the rest (headers, sampling, service name). Needs the extra `tracing`. Called by
the wiring. Tests: tests/unit/cloud/config/test_tracing.py.
"""

import os

from cloud.tracing import spans

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class TracingNotInstalled(RuntimeError):
    """A collector is named, but OpenTelemetry is missing: install the extra, `ropeway[tracing]`."""


def install() -> None:
    """Send spans if a collector is named. Raises TracingNotInstalled."""
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
    provider = TracerProvider(resource=Resource.create({"service.name": "ropeway-cloud"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    spans.install(provider.get_tracer("ropeway"))
