import asyncio
import threading
from collections.abc import Callable

import pytest
from django.db import connection

from cloud.tenancy import scope, threads
from cloud.tenancy.models import Project
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db(transaction=True)


def projects_in_scope() -> list[str]:
    return [str(row.id) for row in Project.objects.all()]


async def test_the_callers_scope_travels(acme: Tenant) -> None:
    with scope.organization(acme.id):
        assert await threads.in_database_thread(projects_in_scope) == [str(acme.project.id)]
    assert await threads.in_database_thread(projects_in_scope) == []


async def test_callers_side_by_side_each_keep_their_own_scope(make_tenant: Callable[[str], Tenant]) -> None:
    tenants = [await threads.in_database_thread(make_tenant, f"tenant {number}") for number in range(3)]

    async def look(tenant: Tenant) -> bool:
        with scope.organization(tenant.id):
            return await threads.in_database_thread(projects_in_scope) == [str(tenant.project.id)]

    assert all(await asyncio.gather(*(look(tenants[turn % 3]) for turn in range(60))))


async def test_work_overlaps() -> None:
    together = threading.Barrier(threads.THREADS, timeout=60)
    await asyncio.gather(*(threads.in_database_thread(together.wait) for _ in range(threads.THREADS)))


async def test_a_thread_keeps_its_connection_and_replaces_a_dead_one() -> None:
    def server_process() -> int:
        connection.ensure_connection()
        return connection.connection.info.backend_pid

    def kill(backends: list[int]) -> None:
        with connection.cursor() as cursor:
            mine = server_process()
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid, 5000)) FROM unnest(%s::int[]) pid WHERE pid <> %s",
                [backends, mine],
            )

    async def all_processes() -> set[int]:
        together = threading.Barrier(threads.THREADS, timeout=60)

        def one() -> int:
            together.wait()
            return server_process()

        found = await asyncio.gather(*(threads.in_database_thread(one) for _ in range(threads.THREADS)))
        return set(found)

    before = await all_processes()
    assert before == await all_processes()
    await threads.in_database_thread(kill, list(before))
    with_news = await all_processes()
    assert len(with_news) == threads.THREADS
    assert len(with_news & before) == 1


async def test_an_error_reaches_the_caller() -> None:
    def fail() -> None:
        raise LookupError("told")

    with pytest.raises(LookupError, match="told"):
        await threads.in_database_thread(fail)
