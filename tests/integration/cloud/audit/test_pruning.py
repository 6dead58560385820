"""What is old enough goes; that it was there, and that the rest is unchanged, stays provable."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.utils import IntegrityError, ProgrammingError

from cloud.audit import aggregation, pruning, seal, verify
from cloud.audit.models import AuditEvent, AuditPruning, AuditSeal
from cloud.config import database_url
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db(transaction=True)

Tell = Callable[..., UUID]

LONG_AGO = datetime.now(UTC) - timedelta(days=400)
YEAR = timedelta(days=365)


def old_event(tenant: Tenant, number: int) -> None:
    AuditEvent.objects.create(
        organization_id=tenant.id,
        at=LONG_AGO + timedelta(minutes=number),
        event_type="call:accepted",
        actor_kind="system",
        target_kind="call",
        target_id=str(number),
    )


@pytest.fixture
def aged(acme: Tenant, tell: Tell) -> Tenant:
    """Three young events (the tenant's own) in the middle of the chain would end any pruning: told after old ones."""
    with scope.organization(acme.id):
        _make_young_events_old(acme)
        for number in range(10):
            old_event(acme, number)
        seal.organization_seal_all(acme.id)
        tell(target_id="young")
        seal.organization_seal_all(acme.id)
        aggregation.rollups_aggregate(acme.id)
    return acme


def _make_young_events_old(tenant: Tenant) -> None:
    """Before anything is sealed, by who took the trigger away."""
    with psycopg.connect(database_url.url_from_database(settings.DATABASES["owner"])) as owner:
        owner.execute("SELECT set_config('app.organization_id', %s, true)", [str(tenant.id)])
        owner.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER append_only")
        owner.execute("UPDATE audit_auditevent SET at = %s", [LONG_AGO])
        owner.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER append_only")


def prune(tenant: Tenant, **facts: int) -> int:
    return pruning.events_prune(tenant.id, before=datetime.now(UTC) - YEAR, **facts)


def test_old_events_go_and_the_chain_still_holds(aged: Tenant) -> None:
    with scope.organization(aged.id):
        assert prune(aged) == 13
        assert prune(aged) == 0
        seal.organization_seal_all(aged.id)
        assert list(AuditEvent.objects.order_by("id").values_list("event_type", flat=True)) == [
            "call:accepted",
            "audit:pruned",
        ]
        report = verify.chain_verify(aged.id)
    assert (report.ok, report.pruned, report.sealed, report.head_seq) == (True, 13, 2, 15)


def test_pruning_goes_on_batch_by_batch_each_with_its_statement(aged: Tenant) -> None:
    with scope.organization(aged.id):
        assert [prune(aged, limit=5), prune(aged, limit=5), prune(aged, limit=5)] == [5, 5, 3]
        stated = AuditPruning.objects.order_by("seq").values_list("first_seq", "seq")
        assert list(stated) == [(1, 5), (6, 10), (11, 13)]
        seal.organization_seal_all(aged.id)
        assert verify.chain_verify(aged.id).ok


def test_what_is_not_counted_yet_stays(acme: Tenant) -> None:
    with scope.organization(acme.id):
        _make_young_events_old(acme)
        seal.organization_seal_all(acme.id)
        assert prune(acme) == 0


def test_the_head_stays_however_old_it_is(acme: Tenant) -> None:
    with scope.organization(acme.id):
        _make_young_events_old(acme)
        seal.organization_seal_all(acme.id)
        aggregation.rollups_aggregate(acme.id)
        assert prune(acme) == 2
        assert AuditSeal.objects.get().seq == 3


def test_nobody_shortens_the_time_that_the_audit_is_kept(aged: Tenant) -> None:
    with scope.organization(aged.id):
        with pytest.raises(ValueError, match="30 days"):
            pruning.events_prune(aged.id, before=datetime.now(UTC))
        with pytest.raises(IntegrityError, match="30 days"), transaction.atomic():
            connection.cursor().execute("SELECT audit_prune(14)")


def test_the_application_can_delete_only_what_a_statement_covers(aged: Tenant) -> None:
    with scope.organization(aged.id):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            connection.cursor().execute("SELECT audit_prune(5)")
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            AuditSeal.objects.all().delete()


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE audit_auditpruning SET hash = decode(repeat('00', 32), 'hex')", "signed with a wrong signature"),
        ("UPDATE audit_auditpruning SET newest_at = now()", "signed with a wrong signature"),
        ("UPDATE audit_auditpruning SET public_key = decode(repeat('00', 32), 'hex')", "an unknown key"),
        ("UPDATE audit_auditpruning SET first_seq = 2", "does not follow from what was before"),
        ("DELETE FROM audit_auditpruning", "Link 1 is missing"),
        ("DELETE FROM audit_auditseal WHERE seq = 14", "Link 14 is missing"),
    ],
)
def test_tampering_with_what_stands_for_the_pruned_is_seen(aged: Tenant, statement: str, complaint: str) -> None:
    with scope.organization(aged.id):
        prune(aged)
        seal.organization_seal_all(aged.id)
    with psycopg.connect(database_url.url_from_database(settings.DATABASES["owner"])) as owner:
        owner.execute("SELECT set_config('app.organization_id', %s, true)", [str(aged.id)])
        for table in ("audit_auditpruning", "audit_auditseal"):
            owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        owner.execute(statement)
        for table in ("audit_auditpruning", "audit_auditseal"):
            owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER append_only")
    with scope.organization(aged.id):
        assert complaint in str(verify.chain_verify(aged.id).first_bad)
