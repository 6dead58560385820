"""What supervisors and Prometheus are told, over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from django.db import connection

from cloud.config import mounts, wiring
from cloud.health import readiness, worker
from cloud.health.probes import Probes
from cloud.metrics import beats
from tests.integration.cloud.relay import conftest as serving
from tests.integration.cloud.relay.conftest import Cloud, Site

application, cloud, make_site, site = serving.application, serving.cloud, serving.make_site, serving.site
close_database_threads = serving.close_database_threads


@pytest.fixture
async def ask(cloud: Cloud) -> AsyncIterator[httpx.AsyncClient]:
    async with cloud.client() as client:
        yield client


async def test_a_process_that_answers_lives(ask: httpx.AsyncClient) -> None:
    answer = await ask.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_process_is_ready_when_everything_of_its_own_works(ask: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        # The first sweep begins with the process.
        while (answer := await ask.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - a supervisor polls
            await asyncio.sleep(0.05)
    assert answer.json()["checks"] == {
        "loops": "ok",
        "sweeper": "ok",
        "migrations": "ok",
        "database": "ok",
        "worker": "not yet",
    }


async def test_a_supervisor_may_ask_by_address_but_a_page_not_by_a_name_of_its_own(ask: httpx.AsyncClient) -> None:
    for host, status in (("10.1.2.3:8000", 200), ("[fd00::1]:8000", 200), ("evil.example", 404), ("", 404)):
        answer = await ask.get("/livez", headers={"host": host})
        assert answer.status_code == status, host


async def test_metrics_are_for_this_machine_where_no_token_is_set(ask: httpx.AsyncClient) -> None:
    assert (await ask.get("/metrics")).status_code == 200
    for header in ("x-forwarded-for", "x-forwarded-proto", "forwarded"):
        assert (await ask.get("/metrics", headers={header: "203.0.113.9"})).status_code == 404


async def test_calls_links_and_requests_are_counted_without_naming_a_tenant(
    cloud: Cloud, site: Site, ask: httpx.AsyncClient
) -> None:
    async with cloud.connected(site), cloud.planner(site) as planner:
        await planner.get("/runs")
        await planner.get("/runs", headers={"authorization": "Bearer nobody"})
        text = (await ask.get("/metrics")).text
    assert 'ropeway_calls_total{operation="runs.list",outcome="ok"}' in text
    assert 'ropeway_calls_total{operation="runs.list",outcome="unauthenticated"}' in text
    assert 'ropeway_call_seconds_bucket{le="0.005",operation="runs.list"}' in text
    assert 'ropeway_http_requests_total{status="401",surface="/api/v2/projects"}' in text
    assert "ropeway_links 1.0" in text
    assert "ropeway_calls_pending 0.0" in text
    assert "ropeway_audit_lag_seconds" in text
    assert "ropeway_worker_beat_seconds +Inf" in text
    for secret in (site.project_id, str(site.tenant.id), str(site.connector.id), "Acme"):
        assert secret not in text


def _probes(**changed: Any) -> Probes:
    facts: dict[str, Any] = {
        "ended_loops": list,
        "carried": lambda: (0, 0),
        "is_host_allowed": lambda host: host == "localhost",
        "metrics_token": "",
    }
    return Probes(**{**facts, **changed})


async def _status(application: Any, **headers: str) -> int:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    given = [(name.encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()]
    await application({"method": "GET", "headers": given, "client": ("203.0.113.9", 1)}, None, send)
    return int(sent[0]["status"])


async def test_metrics_elsewhere_need_the_token(transactional_db: None) -> None:
    probes = _probes(metrics_token="a long secret")
    assert await _status(probes.metrics) == 404
    assert await _status(probes.metrics, authorization="Bearer another") == 404
    assert await _status(probes.metrics, authorization="Bearer a long secret") == 200
    assert await _status(_probes().metrics) == 404


async def test_a_process_whose_loop_ended_is_not_ready(transactional_db: None) -> None:
    assert await _status(_probes(ended_loops=lambda: ["seal_forever"]).readyz) == 503


def test_missing_migrations_are_not_ready(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Graph:
        graph = type("", (), {"leaf_nodes": staticmethod(lambda: [("cloud", "9999_newer")])})()

    monkeypatch.setattr(readiness._Schema, "is_applied", False)
    monkeypatch.setattr(readiness, "MigrationLoader", lambda _connection: Graph)
    assert readiness.readiness(list).checks["migrations"] == "missing"


def test_a_database_that_is_away_is_not_ready(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def refuse(*_arguments: object, **_options: object) -> None:
        raise OperationalError("connection to server at db.internal failed")

    with connection.execute_wrapper(refuse):
        found = readiness.readiness(list)
    assert not found.is_ready
    assert found.checks["database"] == "unreachable"


def test_a_sweeper_that_stopped_is_not_ready(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beats, "age_s", lambda _loop: 61.0)
    assert readiness.readiness(list).checks["sweeper"] == "late"


def test_a_worker_is_shown_and_does_not_decide(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beats, "age_s", lambda _loop: 1.0)
    assert readiness.readiness(list).checks["worker"] == "not yet"
    worker.worker_beat()
    assert readiness.readiness(list).checks["worker"] == "ok"
    monkeypatch.setattr(worker, "worker_beat_age_s", lambda: 1000.0)
    found = readiness.readiness(list)
    assert (found.is_ready, found.checks["worker"]) == (True, "late")


async def test_a_loop_that_ends_by_itself_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "_ended_loops", set())

    async def fails() -> None:
        raise RuntimeError("no way on")

    monkeypatch.setattr(wiring, "serving", lambda: [fails()])
    wiring.start_serving()
    async with asyncio.timeout(60):
        while not wiring.ended_loops():  # noqa: ASYNC110 - it ends when it ends
            await asyncio.sleep(0)
    assert "fails" in wiring.ended_loops()[0]


def test_the_probes_are_mounted_by_exact_path() -> None:
    assert set(_probes().applications()) == {"/livez", "/readyz", "/metrics"}
    assert not set(mounts.HTTP_BEFORE_DJANGO) & set(_probes().applications())
