import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.conf import settings
from opentelemetry.sdk.trace import TracerProvider

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


def test_a_collector_that_does_not_answer_keeps_no_process_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "LAST_SEND_S", 0.01)
    answered = threading.Event()
    tracing.last_send(answered.wait)()
    assert not answered.is_set()
    answered.set()


def test_a_collector_that_answers_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "LAST_SEND_S", 60.0)
    sent: list[str] = []
    end = tracing.last_send(lambda: sent.append("the last spans"))
    assert sent == []
    end()
    assert sent == ["the last spans"]


def test_the_end_of_a_process_is_ours_and_not_the_sdks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's own goes on trying, for as long as it likes."""
    ends: list[Callable[[], object]] = []
    shut_down: list[TracerProvider] = []
    shutdown = TracerProvider.shutdown
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setattr(tracing, "LAST_SEND_S", 60.0)
    monkeypatch.setattr(tracing, "atexit", SimpleNamespace(register=ends.append))
    monkeypatch.setattr(
        TracerProvider, "shutdown", lambda provider: (shut_down.append(provider), shutdown(provider))[1]
    )
    tracing.install()
    (end,) = ends
    end()
    (provider,) = shut_down
    assert provider._atexit_handler is None


_TRACING = """
from cloud.config import tracing
from cloud.tracing import spans
tracing.LAST_SEND_S = 0.1
tracing.install()
with spans.span("call runs.list"):
    pass
"""


def test_a_process_ends_while_its_collector_keeps_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as collector:
        collector.settimeout(60)
        url = f"http://127.0.0.1:{collector.getsockname()[1]}"
        # The SDK alone would try for half a minute, and the request for ten.
        said = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": "600", "NO_PROXY": "127.0.0.1"}
        process = subprocess.Popen(
            [sys.executable, "-c", _TRACING], env={**os.environ, **said}, cwd=settings.ROOT, stderr=subprocess.PIPE
        )
        try:
            asking, _ = collector.accept()
            with asking:
                _, complaint = process.communicate(timeout=25)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0, complaint
