import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connection, transaction

from cloud.audit import seal, verify
from cloud.audit.models import AuditCheckpoint, AuditEvent, AuditSeal
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
            assert may_commit.wait(10)
        connection.close()

    with ThreadPoolExecutor(1) as thread, scope.organization(acme.id):
        late = thread.submit(slow)
        assert told.wait(10)
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
    together = threading.Barrier(4, timeout=10)

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
        assert seal.organizations_seal_all([globex.id, acme.id]) == 15
        assert seal.organizations_seal_all([globex.id, acme.id]) == 0
    for tenant, links in ((acme, 12), (globex, 3)):
        with scope.organization(tenant.id):
            report = verify.chain_verify(tenant.id)
            assert (report.ok, report.sealed, report.unsealed) == (True, links, 0)


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
