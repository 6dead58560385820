"""A collector that the environment names gets the spans of each call, from a process as it is started for real."""

from collections.abc import Iterator

import pytest

from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.spans import PARENT, PARENT_ID, TRACE_ID, Collector, collecting


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield found


async def test_a_serving_process_sends_a_calls_spans_to_the_collector_that_is_named(
    application: object, collector: Collector, started_elsewhere: Cloud, site: Site
) -> None:
    async with started_elsewhere.connected(site), started_elsewhere.planner(site) as planner:
        answer = await planner.get("/runs", headers={"traceparent": PARENT})
    service, call = await scripted.in_thread(lambda: collector.span("call runs.list"))
    assert service == "ropeway-cloud"
    assert (int.from_bytes(call.trace_id), int.from_bytes(call.parent_span_id)) == (TRACE_ID, PARENT_ID)
    told = {fact.key: fact.value.string_value for fact in call.attributes}
    assert told["ropeway.call_id"] == answer.headers["ropeway-call-id"]
