"""The daemon's part of a call is a span below the connector's, where somebody wants spans."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from local_daemon.protocol import ids
from tests.integration.daemon.door import API, ready_wait

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNKNOWN = "repo_01j00000000000000000000000"
# A daemon whose spans go to its standard output, a line each.
PROGRAM = """
import sys
from pathlib import Path
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from local_daemon import bootstrap
from local_daemon.config import home
from local_daemon.protocol import tracing
provider = TracerProvider(shutdown_on_exit=False)
exporter = ConsoleSpanExporter(formatter=lambda span: span.to_json(indent=None) + "\\n")
provider.add_span_processor(SimpleSpanProcessor(exporter))
tracing.tracer_install(provider.get_tracer("test"))
bootstrap.daemon_run(home.Home(root=Path(sys.argv[1])))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A running daemon, and what it tells of its spans."""

    http: httpx.Client
    process: "subprocess.Popen[str]"

    def span(self) -> dict[str, Any]:
        """The next one, once it is there."""
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline()))


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[Traced]:
    home = tmp_path / "home"
    passed = {name: value for name, value in os.environ.items() if not name.startswith("ROPEWAY_")}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(home)],
        env=passed,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        ready_wait(process)
        address = json.loads((home / "daemon.json").read_text())
        token = (home / "token").read_text().strip()
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=address["socket"]), headers={"Authorization": f"Bearer {token}"}
        ) as client:
            yield Traced(http=client, process=process)
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_an_answered_call_is_a_span_below_the_one_that_asked(traced: Traced) -> None:
    call_id = str(ids.new_id(ids.IdPrefix.CALL))
    answer = traced.http.get(f"{API}/repositories", headers={"traceparent": PARENT, "Ropeway-Call-Id": call_id})
    assert answer.status_code == 200
    span = traced.span()
    assert (span["name"], span["parent_id"]) == ("daemon repositories.list", "0xb7ad6b7169203331")
    assert span["attributes"] == {"ropeway.operation": "repositories.list", "ropeway.call_id": call_id}
    assert span["status"]["status_code"] == "UNSET"


def test_a_refused_call_says_so_by_its_kind(traced: Traced) -> None:
    assert traced.http.get(f"{API}/repositories/{UNKNOWN}/runs").status_code == 404
    span = traced.span()
    assert span["status"] == {"status_code": "ERROR", "description": "NotFound"}
    assert span["parent_id"] is None
