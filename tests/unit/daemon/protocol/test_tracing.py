"""Spans at the edge: below the call's trace, and nothing where nobody asked for any."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from local_daemon.protocol import tracing
from tests import spans


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    with spans.collected(tracing.tracer_install) as found:
        yield found


@pytest.fixture
def no_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tracing._ENDPOINTS:
        monkeypatch.delenv(name, raising=False)


def span(name: str = "forward", **facts: Any) -> Any:
    return tracing.call_span(
        name, **{"operation": "runs.get", "call_id": "call_1", "traceparent": spans.PARENT, **facts}
    )


def test_each_hop_is_the_child_of_the_one_before(exporter: InMemorySpanExporter) -> None:
    with span() as forwarded, span("daemon", traceparent=forwarded):
        pass
    daemon, forward = exporter.get_finished_spans()
    assert (forward.name, daemon.name) == ("forward runs.get", "daemon runs.get")
    assert forward.parent is not None and forward.context is not None and daemon.parent is not None
    assert forward.parent.span_id == spans.PARENT_ID
    assert daemon.parent.span_id == forward.context.span_id
    assert daemon.context is not None
    assert forward.context.trace_id == daemon.context.trace_id == spans.TRACE_ID
    assert dict(daemon.attributes or {}) == {"ropeway.operation": "runs.get", "ropeway.call_id": "call_1"}


def test_a_failure_is_told_by_its_kind_and_not_by_its_words(exporter: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="secret"), span():
        raise ValueError("/home/me/secret")
    (found,) = exporter.get_finished_spans()
    assert (found.status.is_ok, found.status.description, found.events) == (False, "ValueError", ())


def test_a_call_without_a_trace_begins_one(exporter: InMemorySpanExporter) -> None:
    with span(traceparent=None, call_id=None) as traceparent:
        assert traceparent is not None
    (found,) = exporter.get_finished_spans()
    assert found.parent is None


def test_without_a_tracer_the_trace_goes_on_untouched() -> None:
    with span() as traceparent:
        assert traceparent == spans.PARENT


def test_without_a_collector_nothing_is_installed(no_collector: None) -> None:
    tracing.install("test")()
    assert tracing._Installed.tracer is None


def test_a_collector_without_the_extra_is_told_in_a_sentence(
    no_collector: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(tracing.TracingNotInstalled, match="extra `tracing`"):
        tracing.install("test")


def test_a_collector_that_does_not_answer_keeps_no_process_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "LAST_SEND_S", 0.01)
    answered = threading.Event()
    tracing.last_send(answered.wait)
    assert not answered.is_set()
    answered.set()


def test_a_collector_that_answers_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "LAST_SEND_S", 60.0)
    sent: list[str] = []
    tracing.last_send(lambda: sent.append("the last spans"))
    assert sent == ["the last spans"]


@pytest.mark.parametrize("module", ["connector_agent.dialer", "local_daemon.bootstrap"])
def test_who_traces_nothing_imports_nothing_of_it(module: str) -> None:
    code = (
        f"import sys, {module}; from local_daemon.protocol import tracing; tracing.install('x')\n"
        "with tracing.call_span('forward', operation='runs.get', call_id=None, traceparent=None): pass\n"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    environment = {name: value for name, value in os.environ.items() if name not in tracing._ENDPOINTS}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False, timeout=60).returncode == 0
