"""Busy organizations, for a while: everything told is sealed, once, in chains that hold, and nothing deadlocks."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connection, transaction

from cloud.audit import services, verify
from cloud.audit.event_types import EventType
from cloud.audit.models import AuditEvent, AuditSeal
from cloud.config import wiring
from cloud.tenancy import scope
from cloud.tenancy import services as tenancy

pytestmark = [pytest.mark.long, pytest.mark.django_db(transaction=True)]

WRITERS = 8
EVENTS = 2_000


def write(orgs: list[UUID], number: int, together: threading.Barrier) -> None:
    together.wait()
    for told in range(EVENTS):
        org_id = orgs[(told + number) % len(orgs)]
        with scope.organization(org_id), transaction.atomic():
            services.event_record(
                event_type=EventType.CALL_ANSWERED,
                principal=None,
                organization_id=org_id,
                target_kind="call",
                target_id=str(told),
            )
    connection.close()


def close(together: threading.Barrier) -> None:
    """Each thread its own connection."""
    together.wait()
    connection.close()


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def unsealed(org_id: UUID) -> int:
    with scope.organization(org_id):
        return AuditEvent.objects.count() - AuditSeal.objects.count()


@pytest.mark.parametrize("organizations", [1, 20])
async def test_sealing_keeps_up_while_everybody_writes(organizations: int) -> None:
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(WRITERS + 1) as threads:
        orgs = await loop.run_in_executor(
            threads, lambda: [tenancy.organization_ensure(name=f"Busy {n}")[0].id for n in range(organizations)]
        )
        before = await loop.run_in_executor(threads, deadlocks)
        # Two sealers, as with two serving processes.
        sealers = [asyncio.create_task(wiring.seal_forever()) for _ in range(2)]
        together = threading.Barrier(WRITERS, timeout=30)
        await asyncio.gather(
            *(loop.run_in_executor(threads, write, orgs, number, together) for number in range(WRITERS))
        )
        async with asyncio.timeout(60):
            while await loop.run_in_executor(threads, lambda: sum(map(unsealed, orgs))):  # noqa: ASYNC110 - the database's state
                await asyncio.sleep(0.1)
        for sealer in sealers:
            sealer.cancel()
        await asyncio.gather(*sealers, return_exceptions=True)

        def check() -> tuple[bool, int]:
            reports = []
            for org_id in orgs:
                with scope.organization(org_id):
                    reports.append(verify.chain_verify(org_id))
            connection.close()
            return all(report.ok for report in reports), sum(report.sealed for report in reports)

        assert await loop.run_in_executor(threads, check) == (True, WRITERS * EVENTS + organizations)
        assert await loop.run_in_executor(threads, deadlocks) == before
        threads_done = threading.Barrier(WRITERS + 1, timeout=30)
        await asyncio.gather(*(loop.run_in_executor(threads, close, threads_done) for _ in range(WRITERS + 1)))
