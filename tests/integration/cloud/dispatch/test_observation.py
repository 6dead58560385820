"""What is told of a call beside its answer: the log, and the trace that goes on to the machine."""

import logging
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cloud.tracing import spans
from tests.integration.cloud.relay import conftest as serving
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.spans import PARENT, TRACE_ID, collected

application, cloud, make_site, site = serving.application, serving.cloud, serving.make_site, serving.site
close_database_threads = serving.close_database_threads


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    with collected(spans.install) as found:
        yield found


async def test_the_machine_gets_the_planners_trace_with_our_span_as_parent(
    cloud: Cloud, site: Site, exporter: InMemorySpanExporter
) -> None:
    async with cloud.connected(site) as machine, cloud.planner(site) as planner:
        answer = await planner.get("/runs", headers={"traceparent": PARENT})
        (request,) = await machine.requests()
    found = {span.name: span for span in exporter.get_finished_spans()}
    assert set(found) == {"call runs.list", "accept", "deliver"}
    call = found["call runs.list"]
    assert call.context is not None and call.attributes is not None
    assert request.traceparent == f"00-{TRACE_ID:032x}-{call.context.span_id:016x}-01"
    assert call.attributes["ropeway.call_id"] == answer.headers["ropeway-call-id"]


async def test_every_call_is_one_line_at_debug_with_its_ids(
    cloud: Cloud, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="cloud.dispatch.observation"):
        async with cloud.connected(site), cloud.planner(site) as planner:
            answer = await planner.get("/runs")
            await planner.get("/runs", headers={"authorization": "Bearer nobody"})
    told = [vars(record) for record in caplog.records if vars(record).get("event") == "call.ended"]
    assert [(line["operation"], line["outcome"]) for line in told] == [
        ("runs.list", "ok"),
        ("runs.list", "unauthenticated"),
    ]
    assert told[0]["call_id"] == answer.headers["ropeway-call-id"]
    assert told[0]["organization_id"] == str(site.tenant.id)
