"""What an attacker with the owner's rights may do to the tables, and that it is seen."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from django.conf import settings

from cloud.audit import seal, verify
from cloud.config import database_url
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db(transaction=True)

Tell = Callable[..., UUID]


@pytest.fixture
def chain(acme: Tenant, tell: Tell) -> Tenant:
    with scope.organization(acme.id):
        for number in range(3):
            tell(target_id=str(number))
        seal.organization_seal(acme.id)
    return acme


def tamper(tenant: Tenant, *statements: str) -> None:
    """Do what only somebody who took the triggers away could."""
    with psycopg.connect(database_url.url_from_database(settings.DATABASES["owner"])) as owner:
        owner.execute("SELECT set_config('app.organization_id', %s, true)", [str(tenant.id)])
        for table in ("audit_auditevent", "audit_auditseal", "audit_auditcheckpoint"):
            owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        for statement in statements:
            owner.execute(statement)
        for table in ("audit_auditevent", "audit_auditseal", "audit_auditcheckpoint"):
            owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER append_only")


def report_of(tenant: Tenant) -> verify.Report:
    with scope.organization(tenant.id):
        return verify.chain_verify(tenant.id)


def test_an_untouched_chain_holds(chain: Tenant) -> None:
    report = report_of(chain)
    assert (report.ok, report.sealed, report.unsealed, report.checkpoints) == (True, 6, 0, 1)
    assert len(report.head_hash) == 64


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        (
            "UPDATE audit_auditevent SET outcome = 'error' WHERE target_id = '1'",
            "event of link 5 is not what was sealed",
        ),
        ("UPDATE audit_auditevent SET details = '{\"a\": 1}' WHERE target_id = '1'", "link 5 is not what was sealed"),
        ("DELETE FROM audit_auditevent WHERE target_id = '1'", "event of link 5 is missing"),
        ("DELETE FROM audit_auditseal WHERE seq = 2", "Link 2 is missing"),
        ("UPDATE audit_auditseal SET hash = decode(repeat('00', 32), 'hex') WHERE seq = 4", "Link 4 does not follow"),
        ("DELETE FROM audit_auditseal WHERE seq > 4", "does not lead to the checkpoint at link 6"),
        ("UPDATE audit_auditcheckpoint SET public_key = decode(repeat('00', 32), 'hex')", "unknown key"),
        ("UPDATE audit_auditcheckpoint SET signature = decode(repeat('00', 64), 'hex')", "signature"),
    ],
)
def test_tampering_is_seen_and_where(chain: Tenant, statement: str, complaint: str) -> None:
    tamper(chain, statement)
    report = report_of(chain)
    assert not report.ok
    assert complaint in str(report.first_bad)


def test_an_event_that_stays_unsealed_is_a_fault(chain: Tenant, tell: Tell) -> None:
    with scope.organization(chain.id):
        tell()
    report = report_of(chain)
    assert (report.ok, report.unsealed) == (True, 1)
    old = datetime.now(UTC) - timedelta(minutes=2)
    tamper(chain, f"UPDATE audit_auditevent SET at = '{old.isoformat()}' WHERE target_id = 'one'")
    report = report_of(chain)
    assert not report.ok
    assert "unsealed since" in str(report.first_bad)


def test_another_tenants_chain_is_not_this_ones_affair(chain: Tenant, globex: Tenant) -> None:
    tamper(chain, "DELETE FROM audit_auditevent WHERE target_id = '1'")
    with scope.organization(globex.id):
        seal.organization_seal(globex.id)
    assert report_of(globex).ok
