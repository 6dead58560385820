"""A carried call leaves a span of the connector's, and the daemon is asked below it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from connector_agent import config as settings
from local_daemon.protocol import tracing
from tests import spans
from tests.integration.connector.scripted_daemon import answer
from tests.integration.connector.test_serving import request, served


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    with spans.collected(tracing.tracer_install) as found:
        yield found


async def say_hello(target: str, writer: asyncio.StreamWriter) -> None:
    writer.write(answer({}))


async def test_a_carried_call_is_a_span_below_the_clouds(
    home: settings.Home, root: Path, exporter: InMemorySpanExporter
) -> None:
    asked = request().model_copy(update={"traceparent": spans.PARENT})
    async with served(home, root, say_hello) as both:
        await both.relay.send(asked)
        await both.response(asked.call_id)
        (head,) = [head for head in both.daemon.heads if "/runs/" in head]
    (found,) = exporter.get_finished_spans()
    assert found.name == "forward runs.get"
    assert found.parent is not None and found.parent.span_id == spans.PARENT_ID
    assert (found.attributes or {})["ropeway.call_id"] == asked.call_id
    assert found.context is not None
    assert f"00-{spans.TRACE_ID:032x}-{found.context.span_id:016x}-01" in head
