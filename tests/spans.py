"""The spans that calls leave: collected in the test's own process, or by a collector that other processes send to."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C
PARENT_ID = 0xB7AD6B7169203331
PARENT = f"00-{TRACE_ID:032x}-{PARENT_ID:016x}-01"
"""A planner's span, as it comes with a call."""


@contextmanager
def collected(install: Callable[[Any], None]) -> Iterator[InMemorySpanExporter]:
    """What ends inside, by the tracer that `install` is given."""
    found = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(found))
    install(provider.get_tracer("test"))
    try:
        yield found
    finally:
        install(None)


class Collector:
    """Takes spans by OTLP over HTTP on a loopback socket, as an operator's collector does."""

    def __init__(self, url: str, taken: "queue.Queue[tuple[str, Any]]") -> None:
        self.url = url
        self._taken = taken

    def span(self, name: str) -> tuple[str, Any]:
        """The next span of that name with the service that sent it, once it is there; those before it are forgotten."""
        while True:
            service, found = self._taken.get(timeout=60)
            if found.name == name:
                return service, found


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector for as long as it is open."""
    taken: queue.Queue[tuple[str, Any]] = queue.Queue()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _taking(taken))
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="collector")
    serving.start()
    try:
        yield Collector(f"http://127.0.0.1:{server.server_address[1]}", taken)
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def _taking(taken: "queue.Queue[tuple[str, Any]]") -> type[BaseHTTPRequestHandler]:
    # The extra `tracing` brings it.
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/v1/traces" or self.headers["Content-Type"] != "application/x-protobuf":
                self.send_error(404)
                return
            for resource in trace_service_pb2.ExportTraceServiceRequest.FromString(content).resource_spans:
                facts = {fact.key: fact.value.string_value for fact in resource.resource.attributes}
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        taken.put((facts["service.name"], span))
            answer = trace_service_pb2.ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_said: object) -> None:
            """Nobody reads it."""

    return Taking
