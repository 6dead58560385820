"""How fast the audit is: told, sealed and verified, each beside what the database does without our logic.

Events are told as services tell them, in transactions of this process, and sealed as a serving process seals them, by
the same loop on a thread beside them. Every chain is verified at the end, so that no rate is bought with a hole.
Called by `benchmarks/__main__.py`.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg

from benchmarks.figures import Figure, Report, percentile
from benchmarks.screen import Screen
from deploy.stack.local import LocalStack

GROUP = "Audit"
SECONDS = 10.0
BACKLOG = 20_000
PACES = ((1, 1000), (20, 2000))
_WRITERS = 8
_BARE_EVENT = """INSERT INTO benchmark_event (id, organization_id, at, event_type, actor_kind, actor_id, actor_label,
    target_kind, target_id, call_id, outcome, duration_ms, client_address, details)
    VALUES (gen_random_uuid(), %s, now(), 'call:answered', 'token', %s, 'planner', 'location', %s, '', 'ok', 1.5,
    '192.0.2.1', '{"operation": "runs.get", "status": 200}')"""
_READ = """SELECT s.seq, s.event_hash, s.prev_hash, s.hash, s.sealed_at, e.* FROM audit_auditseal s
    JOIN audit_auditevent e ON e.id = s.event_id WHERE s.organization_id = %s ORDER BY s.seq"""
_BARE_SEALS = """INSERT INTO benchmark_seal SELECT %s, g, %s, %s, %s FROM generate_series(1, 1000) g"""
_LAGS = """SELECT s.sealed_at - e.at FROM audit_auditevent e LEFT JOIN audit_auditseal s ON s.event_id = e.id
    WHERE e.event_type = 'call:answered' AND e.organization_id = %s"""


def measure(root: Path, report: Report, screen: Screen) -> None:
    """Telling, sealing at a pace, sealing a backlog, verifying."""
    stack = LocalStack(root)
    os.environ.update({**stack.env, "DJANGO_SETTINGS_MODULE": "cloud.config.settings.worker"})
    try:
        with screen.doing("audit: a database"):
            stack.prepare_database()
            _django()
        owner = stack.postgres.ensure_database("ropeway").owner
        _as_fast_as_it_goes(owner, report, screen)
        for organizations, pace in PACES:
            _paced(organizations, pace, report, screen)
        _backlog(owner, report, screen)
    finally:
        _close()
        stack.postgres.stop()


def _django() -> None:
    import django  # noqa: PLC0415 - its settings read the environment that `measure` prepares

    django.setup()


def _close() -> None:
    from cloud.tenancy import threads  # noqa: PLC0415 - needs Django

    threads.close_all()
    _close_own()


def _close_own() -> None:
    from django.db import connections  # noqa: PLC0415 - needs Django

    connections.close_all()


def _organizations(count: int, name: str) -> list[UUID]:
    from cloud.tenancy import services  # noqa: PLC0415 - needs Django

    return [services.organization_ensure(name=f"{name} {number}")[0].id for number in range(count)]


def _as_fast_as_it_goes(owner: str, report: Report, screen: Screen) -> None:
    (org,) = _organizations(1, "Told")
    with screen.doing("audit: one event a commit, eight at once"), _sealing():
        rate = _rate(lambda: _teller([org]), seconds=3.0)
        _sealed([org])
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("CREATE TABLE benchmark_event AS SELECT * FROM audit_auditevent WHERE false")
    with screen.doing("audit: the same, bare"):
        floor = _rate(lambda: _bare_teller(owner, org), seconds=3.0)
    report.figures.append(
        Figure(group=GROUP, name="events told, sealed meanwhile", unit="/s", value=rate, floor=floor, is_rate=True,
               floor_name="rows of that shape: no index, no fence, no ORM")
    )  # fmt: skip


def _paced(count: int, pace: int, report: Report, screen: Screen) -> None:
    where = "one organization" if count == 1 else f"{count} organizations"
    orgs = _organizations(count, f"Paced {count}")
    with screen.doing(f"audit: {pace} events/s in {where}, sealed meanwhile"), _sealing():
        rate = _rate(lambda: _teller(orgs), seconds=SECONDS, pace=pace)
        lags = _sealed(orgs)
    report.keep(f"seal lag ms, {where}", lags)
    report.figures += [
        Figure(group=GROUP, name=f"told in {where}, paced", unit="/s", value=rate, floor=pace, is_rate=True,
               floor_name="the pace that was set"),
        Figure(group=GROUP, name="  until sealed, p50", unit="ms", value=percentile(lags, 0.5), samples=len(lags)),
        Figure(group=GROUP, name="  until sealed, p99", unit="ms", value=percentile(lags, 0.99), samples=len(lags)),
        Figure(group=GROUP, name="  until sealed, longest", unit="ms", value=max(lags), floor=1000.0,
               floor_name="the promise: a second", samples=len(lags)),
    ]  # fmt: skip


def _backlog(owner: str, report: Report, screen: Screen) -> None:
    from cloud.audit import seal  # noqa: PLC0415 - needs Django
    from cloud.tenancy import scope  # noqa: PLC0415

    (org,) = _organizations(1, "Backlog")
    with screen.doing(f"audit: a backlog of {BACKLOG} sealed, then verified"), scope.organization(org):
        _tell_many(org)
        start = time.perf_counter()
        sealed = seal.organization_seal_all(org)
        seal_rate = sealed / (time.perf_counter() - start)
        start = time.perf_counter()
        _verify(org)
        verify_rate = sealed / (time.perf_counter() - start)
        read_rate = _read_floor(org)
    report.figures += [
        Figure(group=GROUP, name="events sealed from a backlog", unit="/s", value=seal_rate,
               floor=_seals_floor(owner, org), is_rate=True, floor_name="bare rows of a seal's shape, 1,000 a commit"),
        Figure(group=GROUP, name="events verified", unit="/s", value=verify_rate, floor=read_rate,
               is_rate=True, floor_name="reading the same rows"),
    ]  # fmt: skip


def _tell_many(org: UUID) -> None:
    from django.db import transaction  # noqa: PLC0415 - needs Django

    for _ in range(BACKLOG // 1000):
        with transaction.atomic():
            for _ in range(1000):
                _record(org)


def _record(org: UUID) -> None:
    from cloud.audit import services  # noqa: PLC0415 - needs Django
    from cloud.audit.event_types import EventType  # noqa: PLC0415

    services.event_record(
        event_type=EventType.CALL_ANSWERED,
        principal=None,
        organization_id=org,
        target_kind="location",
        target_id=org,
        duration_ms=1.5,
        client_address="192.0.2.1",
        details={"operation": "runs.get", "status": 200},
    )


def _teller(orgs: list[UUID]) -> Callable[[int], None]:
    from cloud.tenancy import scope  # noqa: PLC0415 - needs Django
    from cloud.tenancy.transaction import recorded  # noqa: PLC0415

    def tell(number: int) -> None:
        org = orgs[number % len(orgs)]
        with scope.organization(org), recorded("benchmark_event"):
            _record(org)

    return tell


def _bare_teller(owner: str, org: UUID) -> Callable[[int], None]:
    connection = psycopg.connect(owner, autocommit=True, cursor_factory=psycopg.ClientCursor)
    return lambda _number: (connection.execute(_BARE_EVENT, [org, str(org), str(org)]), None)[1]


def _rate(teller: Callable[[], Callable[[int], None]], *, seconds: float, pace: int | None = None) -> float:
    """Tell events one a commit in eight threads, at `pace` a second or as fast as it goes; the rate reached."""
    done: list[int] = []
    begins_at = time.perf_counter()

    def write(number: int) -> None:
        told, tell = 0, teller()
        while (passed := time.perf_counter() - begins_at) < seconds:
            if pace is not None and (early_s := told / (pace / _WRITERS) - passed) > 0:
                time.sleep(early_s)
            tell(told * _WRITERS + number)
            told += 1
        _close_own()
        done.append(told)

    writers = [threading.Thread(target=write, args=[number]) for number in range(_WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return sum(done) / (time.perf_counter() - begins_at)


def _sealed(orgs: list[UUID]) -> list[float]:
    """Milliseconds from each event to its seal, once all are sealed and every chain was found to hold."""
    from django.db import connection  # noqa: PLC0415 - needs Django

    from cloud.tenancy import scope  # noqa: PLC0415

    lags: list[float] = []
    for org in orgs:
        with scope.organization(org), connection.cursor() as cursor:
            rows: list[tuple[timedelta | None]] = [(None,)]
            while any(lag is None for (lag,) in rows):
                time.sleep(0.1)
                cursor.execute(_LAGS, [org])
                rows = cursor.fetchall()
            lags += [lag / timedelta(milliseconds=1) for (lag,) in rows if lag is not None]
            _verify(org)
    return lags


def _verify(org: UUID) -> None:
    from cloud.audit import verify  # noqa: PLC0415 - needs Django

    found = verify.chain_verify(org)
    if not found.ok or found.unsealed:
        raise RuntimeError(f"The chain does not hold: {found}")


def _read_floor(org: UUID) -> float:
    from django.db import connection  # noqa: PLC0415 - needs Django

    start = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(_READ, [org])
        rows = len(cursor.fetchall())
    return rows / (time.perf_counter() - start)


def _seals_floor(owner: str, org: UUID) -> float:
    rows = 0
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("CREATE TABLE benchmark_seal (organization_id uuid, seq bigint, a bytea, b bytea, c bytea)")
        start = time.perf_counter()
        while rows < BACKLOG:
            connection.execute(_BARE_SEALS, [org, b"a" * 32, b"b" * 32, b"c" * 32])
            rows += 1000
        return rows / (time.perf_counter() - start)


@contextmanager
def _sealing() -> Iterator[None]:
    """What a serving process runs beside its requests, on an event loop of its own."""
    from cloud.config import wiring  # noqa: PLC0415 - needs Django

    loop, is_up = asyncio.new_event_loop(), threading.Event()

    async def run() -> None:
        sealing = asyncio.create_task(wiring.seal_forever())
        stop.add_done_callback(lambda _stop: sealing.cancel())
        loop.call_later(0.2, is_up.set)
        await asyncio.gather(sealing, return_exceptions=True)

    stop: asyncio.Future[None] = loop.create_future()
    thread = threading.Thread(target=loop.run_until_complete, args=[run()])
    thread.start()
    is_up.wait()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set_result, None)
        thread.join()
        loop.close()
