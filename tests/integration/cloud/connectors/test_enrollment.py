import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from cloud.access import authorization
from cloud.access.principals import Grant
from cloud.audit.models import AuditEvent
from cloud.connectors import enrollment
from cloud.connectors.models import Claim, Connector, EnrollmentCode, PendingConnector
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

MakeCode = Callable[..., str]
MakeConnector = Callable[..., Connector]


def claim_grant(tenant: Tenant) -> Grant:
    return authorization.authorize(tenant.principal(), Scope.CONNECTORS_WRITE, project_id=tenant.project.id)


def test_a_code_makes_one_connector_claimed_for_its_project(acme: Tenant, make_code: MakeCode) -> None:
    machine, code = Machine(), make_code(acme)
    connector = enrollment.connector_enroll(**machine.enroll_request(code))
    assert connector.organization_id == acme.id
    with scope.organization(acme.id):
        claim = Claim.objects.get(connector=connector)
        assert (claim.project_id, claim.claimed_by) == (acme.project.id, "org_owner")
        told = AuditEvent.objects.get(event_type="connector:enrolled")
        assert (told.actor_kind, told.target_id) == ("connector", str(connector.id))
        row = EnrollmentCode.objects.get()
    assert row.used_at is not None
    assert code not in str(vars(row))


def test_the_same_machine_may_ask_again_but_no_other(acme: Tenant, make_code: MakeCode) -> None:
    machine, code = Machine(), make_code(acme)
    first = enrollment.connector_enroll(**machine.enroll_request(code))
    assert enrollment.connector_enroll(**machine.enroll_request(code)).id == first.id
    with pytest.raises(errors.Expired, match="used"):
        enrollment.connector_enroll(**Machine().enroll_request(code))
    with scope.organization(acme.id):
        assert Connector.objects.count() == 1


def test_a_wrong_code_and_a_wrong_proof_look_alike(acme: Tenant, make_code: MakeCode) -> None:
    with pytest.raises(errors.NotFound):
        enrollment.connector_enroll(**Machine().enroll_request("RW-0000-0000"))
    stolen = {**Machine().enroll_request(make_code(acme)), "public_key": Machine().public_key}
    with pytest.raises(errors.NotFound):
        enrollment.connector_enroll(**stolen)


def test_a_code_is_good_until_its_time_is_over(acme: Tenant, make_code: MakeCode) -> None:
    code = make_code(acme)
    with scope.organization(acme.id):
        EnrollmentCode.objects.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(errors.Expired):
        enrollment.connector_enroll(**Machine().enroll_request(code))


def test_a_machine_serves_one_organization(acme: Tenant, globex: Tenant, make_code: MakeCode) -> None:
    machine = Machine()
    enrollment.connector_enroll(**machine.enroll_request(make_code(acme)))
    with pytest.raises(errors.AlreadyClaimed):
        enrollment.connector_enroll(**machine.enroll_request(make_code(acme)))
    with pytest.raises(errors.InvalidRequest, match="new key pair"):
        enrollment.connector_enroll(**machine.enroll_request(make_code(globex)))


@pytest.mark.django_db(transaction=True)
def test_of_many_machines_with_one_code_one_enrolls(acme: Tenant, make_code: MakeCode) -> None:
    code, together = make_code(acme), threading.Barrier(4, timeout=60)

    def enroll(machine: Machine) -> str:
        together.wait()
        try:
            enrollment.connector_enroll(**machine.enroll_request(code))
        except errors.Expired:
            return "refused"
        finally:
            connection.close()
        return "enrolled"

    with ThreadPoolExecutor(4) as threads:
        outcomes = sorted(threads.map(enroll, [Machine() for _ in range(4)]))
    assert outcomes == ["enrolled", "refused", "refused", "refused"]


def test_a_code_needs_a_sensible_time(acme: Tenant) -> None:
    with scope.organization(acme.id), pytest.raises(errors.InvalidRequest):
        enrollment.enrollment_code_create(grant=claim_grant(acme), ttl=timedelta(days=31))


def test_a_waiting_machine_is_found_and_claimed_by_the_code_it_shows(acme: Tenant) -> None:
    machine = Machine()
    _, code = enrollment.connector_register_pending(**machine.register_request())
    assert enrollment.registration_find(**machine.registration_request()) is None
    with scope.organization(acme.id):
        waiting = enrollment.pending_find(grant=claim_grant(acme), claim_code=code.lower())
        assert (waiting.label, waiting.machine) == ("laptop", {"platform": "darwin"})
        connector = enrollment.connector_claim(grant=claim_grant(acme), claim_code=code)
        assert AuditEvent.objects.get(event_type="connector:claimed").project_id == acme.project.id
        assert Claim.objects.get().claimed_by == "org_owner"
    found = enrollment.registration_find(**machine.registration_request())
    assert found is not None
    assert found.id == connector.id


def test_a_claim_code_works_once(acme: Tenant, globex: Tenant) -> None:
    _, code = enrollment.connector_register_pending(**Machine().register_request())
    with scope.organization(acme.id):
        enrollment.connector_claim(grant=claim_grant(acme), claim_code=code)
    with scope.organization(globex.id), pytest.raises(errors.NotFound):
        enrollment.connector_claim(grant=claim_grant(globex), claim_code=code)


def test_a_wrong_claim_code_finds_nothing(acme: Tenant) -> None:
    enrollment.connector_register_pending(**Machine().register_request())
    with scope.organization(acme.id):
        with pytest.raises(errors.NotFound):
            enrollment.pending_find(grant=claim_grant(acme), claim_code="0000-0000")
        with pytest.raises(errors.NotFound):
            enrollment.connector_claim(grant=claim_grant(acme), claim_code="0000-0000")


def test_a_claim_code_expires_and_registering_again_makes_a_new_one(acme: Tenant) -> None:
    machine = Machine()
    _, old = enrollment.connector_register_pending(**machine.register_request())
    with scope.operator():
        PendingConnector.objects.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(errors.Expired):
        enrollment.registration_find(**machine.registration_request())
    with scope.organization(acme.id):
        for attempt in (enrollment.pending_find, enrollment.connector_claim):
            with pytest.raises(errors.Expired):
                attempt(grant=claim_grant(acme), claim_code=old)
    _, new = enrollment.connector_register_pending(**machine.register_request())
    with scope.organization(acme.id):
        enrollment.connector_claim(grant=claim_grant(acme), claim_code=new)


def test_registering_needs_a_fresh_proof_of_ones_own_key(db: None) -> None:
    machine = Machine()
    with pytest.raises(errors.NotFound):
        enrollment.connector_register_pending(**{**machine.register_request(), "public_key": Machine().public_key})
    with pytest.raises(errors.Expired):
        enrollment.connector_register_pending(**machine.register_request(issued_at=int(time.time()) - 301))
    with pytest.raises(errors.NotFound):
        enrollment.registration_find(**machine.registration_request())


def test_the_waiting_room_has_a_size(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrollment, "PENDING_MAX", 1)
    enrollment.connector_register_pending(**Machine().register_request())
    with pytest.raises(errors.RateLimited):
        enrollment.connector_register_pending(**Machine().register_request())


def test_a_tenant_cannot_read_the_waiting_room(acme: Tenant) -> None:
    enrollment.connector_register_pending(**Machine().register_request())
    with scope.organization(acme.id):
        assert not PendingConnector.objects.exists()


def test_a_viewer_cannot_get_a_grant_to_claim(acme: Tenant) -> None:
    with scope.organization(acme.id), pytest.raises(errors.Forbidden):
        authorization.authorize(
            acme.principal(Role.PROJECT_OPERATOR), Scope.CONNECTORS_WRITE, project_id=acme.project.id
        )
