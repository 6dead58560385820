from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.utils import InternalError, ProgrammingError
from django.test.utils import CaptureQueriesContext

from cloud.audit import services
from cloud.audit.event_types import EventType
from cloud.audit.models import AuditEvent, Outcome
from cloud.config import database_url
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

Tell = Callable[..., UUID]


def test_an_event_says_who_did_what_to_what_and_costs_no_round_trip(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id), transaction.atomic():
        with CaptureQueriesContext(connection) as queries:
            event_id = tell(
                call_id="call_1",
                outcome=Outcome.ERROR,
                duration_ms=1.5,
                client_address="2001:db8::1",
                project_id=acme.project.id,
                details={"code": "not_found"},
            )
        # It travels with the next statement, or with the commit.
        assert len(queries) == 0
        event = AuditEvent.objects.get(id=event_id)
    assert (event.actor_kind, event.actor_label, event.organization_id) == ("token", "org_owner", acme.id)
    assert (event.call_id, event.outcome, event.duration_ms) == ("call_1", "error", 1.5)
    assert event.details == {"code": "not_found"}


def test_what_is_rolled_back_was_not_told(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id):
        before = AuditEvent.objects.count()
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            tell()
            _ = 1 / 0
        assert AuditEvent.objects.count() == before


def test_the_application_can_neither_change_nor_delete_what_was_told(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id):
        tell()
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            AuditEvent.objects.update(outcome="ok")
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            AuditEvent.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_not_even_the_owner_changes_what_was_told_unless_it_takes_the_trigger_away(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id):
        tell()
    owner = psycopg.connect(database_url.url_from_database(settings.DATABASES["owner"]))
    with owner, pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        owner.execute("SELECT set_config('app.organization_id', %s, true)", [str(acme.id)])
        owner.execute("DELETE FROM audit_auditevent")


def test_an_event_of_another_tenant_cannot_be_told(acme: Tenant, globex: Tenant) -> None:
    with (
        scope.organization(acme.id),
        pytest.raises((ProgrammingError, InternalError), match="row-level"),
        transaction.atomic(),
    ):
        services.event_record(
            event_type=EventType.CALL_ACCEPTED, principal=globex.principal(), target_kind="call", target_id="x"
        )


def test_details_are_limited(acme: Tenant, tell: Tell) -> None:
    with scope.organization(acme.id), pytest.raises(ValueError, match="8192 bytes"):
        tell(details={"patch": "x" * 9000})


def test_an_event_needs_an_organization(db: None) -> None:
    with pytest.raises(ValueError, match="organization"):
        services.event_record(event_type=EventType.CALL_ACCEPTED, principal=None, target_kind="call", target_id="x")
