"""Old audit goes, that of organizations that are gone too."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from django.conf import settings as configured

from cloud.access import authorization
from cloud.audit import pruning, verify
from cloud.audit.models import AuditEvent
from cloud.config import database_url
from cloud.schedules import audit_retention, runner
from cloud.tenancy import organizations, purging, scope, units
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db(transaction=True)


def purge(tenant: Tenant) -> None:
    with scope.organization(tenant.id):
        grant = authorization.authorize(tenant.principal(), Scope.ORGANIZATION_WRITE)
        organizations.organization_delete(grant=grant, expected_version=None)
    make_old(tenant)
    purging.purge_due(now=datetime.now(UTC) + units.GRACE + timedelta(hours=1))


def make_old(tenant: Tenant) -> None:
    """Before anything is sealed, by who took the trigger away."""
    with psycopg.connect(database_url.url_from_database(configured.DATABASES["owner"])) as owner:
        owner.execute("SELECT set_config('app.organization_id', %s, true)", [str(tenant.id)])
        owner.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER append_only")
        owner.execute("UPDATE audit_auditevent SET at = at - interval '400 days'")
        owner.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER append_only")


def test_nothing_goes_where_nobody_said_so(acme: Tenant) -> None:
    assert audit_retention.run() == 0


def test_what_is_left_of_the_gone_grows_old_too(acme: Tenant, settings: Any) -> None:
    purge(acme)
    settings.AUDIT_RETENTION_DAYS = 365
    assert audit_retention.run() == 4
    assert audit_retention.run() == 0
    with scope.organization(acme.id):
        left = list(AuditEvent.objects.order_by("id").values_list("event_type", flat=True))
        assert left == ["organization:purged", "audit:pruned"]
        assert verify.chain_verify(acme.id).ok


def prunings(tenant: Tenant) -> int:
    with scope.organization(tenant.id):
        return AuditEvent.objects.filter(event_type="audit:pruned").count()


def test_in_a_run_that_ends_early_organizations_take_turns(
    acme: Tenant, globex: Tenant, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tenant in (acme, globex):
        purge(tenant)
    settings.AUDIT_RETENTION_DAYS = 365
    monkeypatch.setattr(pruning, "events_prune", partial(pruning.events_prune, limit=1))
    # Time for one turn a run: each of the two has four.
    monkeypatch.setattr(audit_retention, "LONGEST_S", 0.0)
    for number in range(1, 5):
        runner.run("audit retention")
        assert prunings(acme) + prunings(globex) == number
    assert (prunings(acme), prunings(globex)) == (2, 2)


def test_one_organization_whose_audit_cannot_be_pruned_holds_up_no_other(
    acme: Tenant, globex: Tenant, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tenant in (acme, globex):
        purge(tenant)
    settings.AUDIT_RETENTION_DAYS = 365
    prune = pruning.events_prune

    def refusing(org_id: Any, **asked: Any) -> int:
        if org_id == min(acme.id, globex.id):
            raise ValueError("a broken chain")
        return prune(org_id, **asked)

    monkeypatch.setattr(pruning, "events_prune", refusing)
    assert audit_retention.run() == 4
