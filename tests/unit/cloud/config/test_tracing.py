import sys

import pytest

from cloud.config import tracing
from cloud.tracing import spans


@pytest.fixture(autouse=True)
def uninstall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans._Installed, "tracer", None)
    for name in tracing._ENDPOINTS:
        monkeypatch.delenv(name, raising=False)


def test_without_a_collector_there_are_no_spans_and_no_sdk_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    tracing.install()
    assert spans._Installed.tracer is None


def test_a_collector_without_the_extra_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(tracing.TracingNotInstalled, match="ropeway\\[tracing\\]"):
        tracing.install()
