import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction

from cloud.audit import sealer, selectors, services
from cloud.audit.event_types import EventType
from cloud.audit.models import AuditEvent
from cloud.config import database_url, wiring
from cloud.tenancy import scope, threads
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db(transaction=True)

Tell = Callable[..., UUID]


class Watch:
    """Seals as the wiring does, and lets a test wait until so many events were."""

    def __init__(self) -> None:
        self.sealed = 0
        self.complete_passes = 0
        self.held: list[set[UUID]] = []
        self._changed = asyncio.Condition()

    async def seal(self, org_ids: Collection[UUID], *, is_complete: bool) -> sealer.Pass:
        done = await wiring.organizations_seal(org_ids, is_complete=is_complete)
        async with self._changed:
            self.sealed += done.sealed
            self.held.append(set(done.held))
            self.complete_passes += is_complete
            self._changed.notify_all()
        return done

    async def until(self, *, sealed: int, complete_passes: int = 1) -> None:
        """A complete pass stands at the beginning of each connection."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: self.sealed >= sealed and self.complete_passes >= complete_passes)

    async def until_passed_over(self, org_id: UUID, *, times: int) -> None:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: sum(org_id in held for held in self.held) >= times)


async def nobody() -> list[UUID]:
    return []


@asynccontextmanager
async def running(watch: Watch, unsealed: sealer.Organizations = nobody) -> AsyncIterator[sealer.Wakes]:
    wakes = sealer.Wakes()
    task = asyncio.create_task(
        sealer.seal_forever(
            conninfo=database_url.url_from_database(settings.DATABASES["default"]) + " application_name=sealer",
            organizations=wiring.organizations_to_seal,
            unsealed=unsealed,
            seal=watch.seal,
            wakes=wakes,
        )
    )
    try:
        yield wakes
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def told(tenant: Tenant, tell: Tell) -> None:
    with scope.organization(tenant.id):
        await threads.in_database_thread(tell)


async def test_what_was_missed_is_sealed_at_the_start_and_the_rest_as_it_commits(acme: Tenant, tell: Tell) -> None:
    watch = Watch()
    async with running(watch):
        await watch.until(sealed=3)
        await told(acme, tell)
        await watch.until(sealed=4)


async def test_a_lost_connection_is_made_anew_and_nothing_is_missed(acme: Tenant, tell: Tell) -> None:
    watch = Watch()
    async with running(watch):
        await watch.until(sealed=3)
        owner = await psycopg.AsyncConnection.connect(
            database_url.url_from_database({**settings.DATABASES["default"]}), autocommit=True
        )
        async with owner:
            await owner.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE application_name = 'sealer' AND datname = current_database()"
            )
        await told(acme, tell)
        await watch.until(sealed=4, complete_passes=2)


async def test_a_notification_that_says_something_else_does_not_end_the_listening(
    acme: Tenant, tell: Tell, caplog: pytest.LogCaptureFixture
) -> None:
    """Another version notifies in its own words, during an update; anybody in the database may notify at all."""

    def committed_with_other_words() -> None:
        with scope.organization(acme.id), transaction.atomic(), connection.cursor() as cursor:
            # This silences the trigger's own words.
            cursor.execute("SET LOCAL app.audit_is_heard = '1'")
            tell()
            for payload in ("nonsense", f"{acme.id}/more"):
                cursor.execute("SELECT pg_notify(%s, %s)", [sealer.CHANNEL, payload])

    watch = Watch()
    async with running(watch):
        await watch.until(sealed=3)
        await threads.in_database_thread(committed_with_other_words)
        await watch.until(sealed=4)
    assert [line for line in caplog.messages if "Listening" in line] == []


async def test_a_process_that_seals_hears_of_its_own_commits_without_a_notification(acme: Tenant, tell: Tell) -> None:
    watch = Watch()
    async with running(watch) as wakes:
        await watch.until(sealed=3)
        heard: list[UUID] = []
        services.install_sealer(lambda org_id: (heard.append(org_id), wakes.tell(org_id)))  # type: ignore[func-returns-value, arg-type, return-value]
        try:
            with psycopg.connect(database_url.url_from_database(settings.DATABASES["default"])) as listening:
                listening.execute(f"LISTEN {sealer.CHANNEL}")
                listening.commit()
                await threads.in_database_thread(committed, acme, tell)
                await watch.until(sealed=5)
                assert not list(listening.notifies(timeout=0))
        finally:
            services.install_sealer(None)
    assert heard == [acme.id, acme.id]


def committed(tenant: Tenant, tell: Tell) -> None:
    with scope.organization(tenant.id), transaction.atomic():
        tell()
        tell()


def committed_long_before(tenant: Tenant) -> None:
    with scope.organization(tenant.id):
        AuditEvent.objects.create(
            organization_id=tenant.id, at=datetime.now(UTC), transaction_id=1, event_type="call:accepted",
            actor_kind="system", target_kind="call", target_id="one",
        )  # fmt: skip


async def test_what_nobody_was_woken_for_is_found(acme: Tenant, tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that committed it was killed before it told its sealer."""
    monkeypatch.setattr(sealer, "SWEEP_S", 0.05)
    monkeypatch.setattr(selectors, "_SEALING", timedelta(0))
    watch = Watch()
    async with running(watch, wiring.organizations_unsealed):
        await watch.until(sealed=3)
        services.install_sealer(lambda _org_id: None)
        try:
            await threads.in_database_thread(committed, acme, tell)
        finally:
            services.install_sealer(None)
        await watch.until(sealed=5)


async def test_what_lies_before_the_recent_is_found_too(
    acme: Tenant, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restored database counts its transactions from a lower number on."""
    monkeypatch.setattr(sealer, "SWEEP_S", 0.05)
    monkeypatch.setattr(selectors, "_SEALING", timedelta(0))
    watch = Watch()
    async with running(watch, wiring.organizations_unsealed):
        await watch.until(sealed=3)
        services.install_sealer(lambda _org_id: None)
        try:
            await threads.in_database_thread(committed_long_before, acme)
        finally:
            services.install_sealer(None)
        await watch.until(sealed=4)


async def test_while_events_keep_coming_they_are_sealed_together_not_one_by_one(acme: Tenant, tell: Tell) -> None:
    passes: list[float] = []
    has_enough = asyncio.Event()

    class Busy(Watch):
        async def seal(self, org_ids: Collection[UUID], *, is_complete: bool) -> sealer.Pass:
            done = await super().seal(org_ids, is_complete=is_complete)
            passes.append(asyncio.get_running_loop().time())
            # Somebody called in the meantime, as in a busy organization somebody always has.
            await told(acme, tell)
            if len(passes) == 3:
                has_enough.set()
            return done

    watch = Busy()
    async with running(watch), asyncio.timeout(30):
        await has_enough.wait()
    assert all(later - earlier >= sealer.GATHER_S for earlier, later in itertools.pairwise(passes))


async def test_organizations_are_sealed_together_and_one_that_cannot_be_keeps_no_other_from_it(
    acme: Tenant, globex: Tenant, tell: Tell
) -> None:
    asked: list[set[UUID]] = []

    class Hindered(Watch):
        async def seal(self, org_ids: Collection[UUID], *, is_complete: bool) -> sealer.Pass:
            if not is_complete:
                asked.append(set(org_ids))
                if globex.id in org_ids:
                    raise RuntimeError("its chain cannot go on")
            return await super().seal(org_ids, is_complete=is_complete)

    watch = Hindered()
    async with running(watch) as wakes:
        await watch.until(sealed=6)
        services.install_sealer(lambda _org_id: None)
        try:
            await threads.in_database_thread(committed, acme, tell)
        finally:
            services.install_sealer(None)
        wakes.tell(globex.id)
        wakes.tell(acme.id)
        await watch.until(sealed=8)
    assert asked[0] == {acme.id, globex.id}


@pytest.mark.parametrize("is_start", [True, False], ids=["at the start", "later"])
async def test_a_chain_that_another_process_is_at_is_sealed_when_it_is_free_and_holds_up_no_other(
    acme: Tenant, globex: Tenant, tell: Tell, is_start: bool
) -> None:
    watch = Watch()
    other = await psycopg.AsyncConnection.connect(database_url.url_from_database(settings.DATABASES["default"]))
    async with other:
        if is_start:
            await other.execute(_LOCK, [str(acme.id)])
        async with running(watch):
            await watch.until(sealed=3 if is_start else 6)
            if not is_start:
                await other.execute(_LOCK, [str(acme.id)])
            await told(acme, tell)
            await watch.until_passed_over(acme.id, times=2)
            await threads.in_database_thread(committed_of, globex)
            await watch.until(sealed=4 if is_start else 7)
            # Nobody says so to the sealer.
            await other.rollback()
            await watch.until(sealed=8)


_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('ropeway-audit:' || %s, 0))"


def committed_of(tenant: Tenant) -> None:
    with scope.organization(tenant.id):
        services.event_record(
            event_type=EventType.CALL_ACCEPTED, principal=tenant.principal(), target_kind="call", target_id="one"
        )


async def test_what_was_told_while_a_pass_took_its_time_is_not_gathered_for_as_long_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wakes, org_id = sealer.Wakes(), uuid4()
    wakes.tell(org_id)
    now = asyncio.get_running_loop().time
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now() + sealer.GATHER_S)
    slept: list[float] = []
    sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds: (slept.append(seconds), sleep(0))[1])
    assert await wakes.gathered() == {org_id}
    assert slept == [0.0]
