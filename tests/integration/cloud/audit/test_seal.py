import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.utils import DatabaseError

from cloud.audit import seal, verify
from cloud.audit.models import AuditCheckpoint, AuditEvent, AuditSeal
from cloud.config import database_url
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

Tell = Callable[..., UUID]


def sealed_events() -> list[str]:
    """The targets of the sealed events, in the chain's order."""
    targets = dict(AuditEvent.objects.values_list("id", "target_id"))
    return [targets[event_id] for event_id in AuditSeal.objects.order_by("seq").values_list("event_id", flat=True)]


@pytest.mark.django_db
def test_sealing_chains_everything_once(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id):
        tell()
        assert seal.organization_seal(acme.id) == 4
        assert seal.organization_seal(acme.id) == 0
        tell()
        assert seal.organization_seal(acme.id) == 1
        assert list(AuditSeal.objects.order_by("seq").values_list("seq", flat=True)) == [1, 2, 3, 4, 5]
        report = verify.chain_verify(acme.id)
    assert (report.ok, report.sealed, report.unsealed) == (True, 5, 0)


@pytest.mark.django_db(transaction=True)
def test_batches_join_into_one_chain(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id):
        for number in range(25):
            tell(target_id=str(number))
        batches = []
        while batch := seal.organization_seal(acme.id, limit=10):
            batches.append(batch)
        assert batches == [10, 10, 8]
        assert sealed_events()[3:] == [str(number) for number in range(25)]
        assert verify.chain_verify(acme.id).ok


@pytest.mark.django_db(transaction=True)
def test_an_event_that_commits_late_is_sealed_late_and_holds_nobody_up(acme: Tenant, tell: Tell) -> None:
    told, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with scope.organization(acme.id), transaction.atomic():
            tell(target_id="slow")
            told.set()
            assert may_commit.wait(60)
        connection.close()

    with ThreadPoolExecutor(1) as thread, scope.organization(acme.id):
        late = thread.submit(slow)
        assert told.wait(60)
        tell(target_id="quick")
        seal.organization_seal(acme.id)
        assert sealed_events()[-1] == "quick"
        tell(target_id="quicker")
        seal.organization_seal(acme.id)
        may_commit.set()
        late.result()
        assert seal.organization_seal(acme.id) == 1
        assert sealed_events()[-3:] == ["quick", "quicker", "slow"]
        assert verify.chain_verify(acme.id).ok


@pytest.mark.django_db(transaction=True)
def test_sealers_side_by_side_make_one_chain(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id):
        for _ in range(40):
            tell()
    together = threading.Barrier(4, timeout=60)

    def work() -> int:
        together.wait()
        with scope.organization(acme.id):
            sealed = 0
            while batch := seal.organization_seal(acme.id, limit=7):
                sealed += batch
        connection.close()
        return sealed

    with ThreadPoolExecutor(4) as threads:
        assert sum(future.result() for future in [threads.submit(work) for _ in range(4)]) == 43
    with scope.organization(acme.id):
        assert verify.chain_verify(acme.id).ok


@pytest.mark.django_db
def test_a_complete_pass_finds_what_lies_below_the_horizon(acme: Tenant, tell: Tell) -> None:
    """A restored database numbers its transactions anew: new events lie below the old horizon."""
    with scope.organization(acme.id):
        seal.organization_seal(acme.id)
        event = AuditEvent(
            organization_id=acme.id,
            at=AuditEvent.objects.latest("id").at,
            transaction_id=1,
            event_type="call:accepted",
            actor_kind="system",
            target_kind="call",
            target_id="restored",
        )
        event.save(force_insert=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT max(horizon) FROM audit_auditseal")
            assert cursor.fetchone()[0] > 1
        assert seal.organization_seal(acme.id) == 0
        assert seal.organization_seal(acme.id, is_complete=True) == 1


@pytest.mark.django_db
def test_each_tenant_has_its_own_chain(acme: Tenant, globex: Tenant) -> None:
    for tenant in (acme, globex):
        with scope.organization(tenant.id):
            assert seal.organization_seal(tenant.id) == 3
            assert AuditSeal.objects.get(seq=1).organization_id == tenant.id


@pytest.mark.django_db(transaction=True)
def test_many_organizations_are_sealed_together_each_in_its_chain_to_its_end(
    acme: Tenant, globex: Tenant, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scope.organization(acme.id):
        for number in range(9):
            tell(target_id=str(number))
    # Three of each in the first batch, six of the one that has more in each of the next.
    monkeypatch.setattr(seal, "BATCH", 6)
    with scope.operator():
        assert seal.organizations_seal_free([globex.id, acme.id]) == seal.Pass(sealed=15, held=frozenset())
        assert seal.organizations_seal_free([globex.id, acme.id]) == seal.Pass(sealed=0, held=frozenset())
    for tenant, links in ((acme, 12), (globex, 3)):
        with scope.organization(tenant.id):
            report = verify.chain_verify(tenant.id)
            assert (report.ok, report.sealed, report.unsealed) == (True, links, 0)


@contextmanager
def held(org_id: UUID) -> Iterator[psycopg.Connection[Any]]:
    """Somebody on another connection is sealing this chain, for as long as it is open."""
    with psycopg.connect(database_url.url_from_database(settings.DATABASES["default"])) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('ropeway-audit:' || %s, 0))", [str(org_id)])
        yield other


@pytest.mark.django_db(transaction=True)
def test_a_chain_that_somebody_else_is_sealing_is_passed_over_and_the_others_go_on(
    make_tenant: Callable[[str], Tenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    org_ids = sorted(make_tenant(f"tenant {number}").id for number in range(5))
    monkeypatch.setattr(seal, "ORGANIZATIONS", 2)
    # Who waited would wait for ever: nothing else ends the two.
    with scope.operator(), held(org_ids[0]), held(org_ids[3]):
        assert seal.organizations_seal_free(org_ids) == seal.Pass(sealed=9, held=frozenset({org_ids[0], org_ids[3]}))
        assert seal.organizations_seal_free([org_ids[3]]) == seal.Pass(sealed=0, held=frozenset({org_ids[3]}))
    with scope.operator():
        assert seal.organizations_seal_free(org_ids) == seal.Pass(sealed=6, held=frozenset())
    for org_id in org_ids:
        with scope.organization(org_id):
            assert verify.chain_verify(org_id).ok


def is_waited_for(other: psycopg.Connection[Any]) -> bool:
    """Whether somebody waits for a lock that it holds."""
    found = other.execute(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
    ).fetchone()
    return found == (True,)


@pytest.mark.django_db(transaction=True)
def test_who_reads_a_chain_to_its_end_waits_for_whoever_is_sealing_it(acme: Tenant) -> None:
    def read() -> int:
        try:
            with scope.organization(acme.id):
                return seal.organization_seal_all(acme.id)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        with held(acme.id) as other:
            reading = thread.submit(read)
            while not is_waited_for(other):
                assert not reading.done()
        assert reading.result() == 3


class Stopping:
    """A sealer of Acme's chain on its own connection, which stops in the midst of its batch until it may go on.

    `standstill_ms` takes the place of how long it may, and only once it stands still: on the way there, a busy machine
    takes as long as it takes."""

    def __init__(self, acme: Tenant, monkeypatch: pytest.MonkeyPatch, *, standstill_ms: int) -> None:
        self.has_stopped, self.may_go_on = threading.Event(), threading.Event()
        self.may_stand_still = ""
        self._standstill_ms = standstill_ms
        self._linked = seal._linked
        self._thread = threading.Thread(target=self._seal, args=[acme.id])
        self.raised: DatabaseError | None = None
        with monkeypatch.context() as patched:
            patched.setattr(seal, "_linked", self._stop)
            self._thread.start()
            assert self.has_stopped.wait(60)

    def _stop(self, *asked: Any, **also_asked: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SHOW idle_in_transaction_session_timeout")
            (self.may_stand_still,) = cursor.fetchone()
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = %s", [self._standstill_ms])
        self.has_stopped.set()
        assert self.may_go_on.wait(60)
        return self._linked(*asked, **also_asked)

    def _seal(self, org_id: UUID) -> None:
        try:
            with scope.organization(org_id):
                seal.organization_seal(org_id)
        except DatabaseError as error:
            self.raised = error
        finally:
            connection.close()

    def go_on(self) -> None:
        self.may_go_on.set()
        self._thread.join()


@pytest.mark.django_db(transaction=True)
def test_a_sealer_that_stands_still_in_the_midst_holds_up_no_other_chain(
    acme: Tenant, globex: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = Stopping(acme, monkeypatch, standstill_ms=60_000)
    try:
        with scope.operator():
            done = seal.organizations_seal_free([acme.id, globex.id])
            assert done == seal.Pass(sealed=3, held=frozenset({acme.id}))
    finally:
        still.go_on()
    assert still.raised is None
    with scope.organization(acme.id):
        assert verify.chain_verify(acme.id).sealed == 3


@pytest.mark.django_db(transaction=True)
def test_a_sealer_that_stands_still_in_the_midst_is_ended_and_others_seal_its_chain(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = Stopping(acme, monkeypatch, standstill_ms=50)
    assert still.may_stand_still == "30s"
    try:
        with scope.organization(acme.id):
            assert seal.organization_seal_all(acme.id) == 3
    finally:
        still.go_on()
    assert "timeout" in str(still.raised)
    with scope.organization(acme.id):
        assert verify.chain_verify(acme.id).ok


@pytest.mark.django_db
def test_a_chain_is_not_named_by_text(acme: Tenant) -> None:
    with scope.organization(acme.id), pytest.raises(TypeError, match="UUID"):
        seal.organization_seal_all(str(acme.id))  # type: ignore[arg-type]


@pytest.mark.django_db
def test_a_pass_looks_up_what_is_sealed_and_never_reads_all_of_it(acme: Tenant) -> None:
    asked = {"org_ids": [acme.id], "begins": [0], "limit": 50}
    with scope.organization(acme.id), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {seal._UNSEALED_LATELY}", asked)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    # A join may be a hash of every seal there is, as soon as the tables' statistics are known.
    assert "SubPlan" in plan
    assert "Anti Join" not in plan


@pytest.mark.django_db
def test_the_head_is_signed_when_it_is_due(acme: Tenant, tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    with scope.organization(acme.id):
        seal.organization_seal(acme.id)
        tell()
        seal.organization_seal(acme.id)
        assert list(AuditCheckpoint.objects.values_list("seq", flat=True)) == [3]
        monkeypatch.setattr(seal, "CHECKPOINT_LINKS", 2)
        tell()
        seal.organization_seal(acme.id)
        assert list(AuditCheckpoint.objects.order_by("seq").values_list("seq", flat=True)) == [3, 5]
