from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cloud.tracing import spans
from tests.spans import PARENT, PARENT_ID, TRACE_ID, collected


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    with collected(spans.install) as found:
        yield found


def named(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def test_a_call_is_in_its_planners_trace_and_goes_on_as_its_child(exporter: InMemorySpanExporter) -> None:
    with spans.call_span("runs.list", PARENT) as traceparent, spans.span("accept"):
        spans.describe(call_id="call_1")
    call, accept = named(exporter)["call runs.list"], named(exporter)["accept"]
    assert call.parent is not None and call.parent.span_id == PARENT_ID
    assert accept.parent is not None and call.context is not None and accept.parent.span_id == call.context.span_id
    assert traceparent == f"00-{TRACE_ID:032x}-{call.context.span_id:016x}-01"
    assert accept.attributes == {"ropeway.call_id": "call_1"}


def test_a_call_without_a_trace_begins_one(exporter: InMemorySpanExporter) -> None:
    with spans.call_span("runs.list", None) as traceparent:
        assert traceparent is not None
    assert named(exporter)["call runs.list"].parent is None


def test_an_error_is_the_spans_too(exporter: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="no"), spans.call_span("runs.list", None):
        raise ValueError("no")
    assert not named(exporter)["call runs.list"].status.is_ok


def test_without_a_tracer_the_planners_trace_goes_on_untouched() -> None:
    with spans.call_span("runs.list", PARENT) as traceparent, spans.span("accept"):
        spans.describe(call_id="call_1")
    assert traceparent == PARENT
