"""A machine serves what it was claimed for, moves within its organization, and is let go; it comes by proof only."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from cloud.access import authorization
from cloud.access.principals import Grant
from cloud.audit.models import AuditEvent
from cloud.connectors import claims, enrollment, links, selectors, services
from cloud.connectors.models import Claim, Connector, Instance, Location
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from cloud.tenancy import services as tenancy
from cloud.tenancy.models import Project
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

MakeConnector = Callable[..., Connector]


def acting(tenant: Tenant, wanted: Scope = Scope.CONNECTORS_WRITE, **target: Any) -> Grant:
    return authorization.authorize(tenant.principal(), wanted, **target)


def claimed(tenant: Tenant, machine: Machine, **target: Any) -> Connector:
    _, code = enrollment.connector_register_pending(**machine.register_request())
    with scope.organization(tenant.id):
        return enrollment.connector_claim(grant=acting(tenant, **target), claim_code=code)


def shares(connector: Connector, machine: Machine, *labels: str) -> list[Location]:
    epoch = links.link_open(connector_id=connector.id, link_owner="process-1").epoch
    return services.advertise_apply(connector_id=connector.id, epoch=epoch, advertised=machine.advertisement(*labels))


@pytest.fixture
def second(acme: Tenant) -> Project:
    with scope.organization(acme.id):
        project, _ = tenancy.project_ensure(workspace=acme.workspace, name="second", actor=None)
    return project


@pytest.mark.parametrize("target", ["organization", "workspace", "project"])
def test_a_machine_is_claimed_and_enrolled_for_what_the_grant_names(acme: Tenant, target: str) -> None:
    names = {
        "organization": {},
        "workspace": {"workspace_id": acme.workspace.id},
        "project": {"project_id": acme.project.id},
    }[target]
    one = claimed(acme, Machine(), **names)
    with scope.organization(acme.id):
        _, code = enrollment.enrollment_code_create(grant=acting(acme, **names), ttl=timedelta(hours=1))
    two = enrollment.connector_enroll(**Machine().enroll_request(code))
    with scope.organization(acme.id):
        for connector in (one, two):
            claim = enrollment.claim_of(connector)
            assert claim.workspace_id == (None if target == "organization" else acme.workspace.id)
            assert claim.project_id == (acme.project.id if target == "project" else None)


def test_who_reaches_a_part_claims_for_that_part_only(acme: Tenant) -> None:
    _, code = enrollment.connector_register_pending(**Machine().register_request())
    bound = acme.principal(project_ids=frozenset({acme.project.id}))
    with scope.organization(acme.id):
        with pytest.raises(errors.Forbidden):
            enrollment.connector_claim(grant=authorization.authorize(bound, Scope.CONNECTORS_WRITE), claim_code=code)
        with pytest.raises(errors.NotFound):
            authorization.authorize(bound, Scope.CONNECTORS_WRITE, workspace_id=acme.workspace.id)


def test_a_code_is_revoked_until_it_is_used(acme: Tenant) -> None:
    with scope.organization(acme.id):
        row, code = enrollment.enrollment_code_create(grant=acting(acme), ttl=timedelta(hours=1))
        reading = acting(acme, Scope.CONNECTORS_READ)
        assert len(selectors.enrollment_code_page(grant=reading, open_only=True).items) == 1
        enrollment.enrollment_code_revoke(grant=acting(acme), code_id=row.id)
        enrollment.enrollment_code_revoke(grant=acting(acme), code_id=row.id)
        assert selectors.enrollment_code_page(grant=reading, open_only=True).items == []
        assert AuditEvent.objects.filter(event_type="enrollment_code:revoked").count() == 1
    with pytest.raises(errors.Expired):
        enrollment.connector_enroll(**Machine().enroll_request(code))
    with scope.organization(acme.id):
        used, code = enrollment.enrollment_code_create(grant=acting(acme), ttl=timedelta(hours=1))
    enrollment.connector_enroll(**Machine().enroll_request(code))
    with scope.organization(acme.id), pytest.raises(errors.InvalidTransition):
        enrollment.enrollment_code_revoke(grant=acting(acme), code_id=used.id)


def test_a_released_machine_serves_nothing_and_comes_back_by_proof_as_another(acme: Tenant, globex: Tenant) -> None:
    machine = Machine()
    connector = claimed(acme, machine, project_id=acme.project.id)
    shares(connector, machine, "one")
    with scope.organization(acme.id):
        released = claims.connector_release(grant=acting(acme), connector_id=connector.id)
        assert released.released_at is not None
        assert selectors.connector_list(grant=acting(acme, Scope.CONNECTORS_READ)) == []
        assert [row.is_shared for row in Location.objects.all()] == [False], "remembered"
        for refused in (services.connector_enable, claims.connector_release):
            with pytest.raises(errors.NotFound):
                refused(grant=acting(acme), connector_id=connector.id)
    with pytest.raises(errors.NotFound):
        links.link_identify(connector.id)
    elsewhere = claimed(globex, machine, project_id=globex.project.id)
    assert elsewhere.id != connector.id
    assert enrollment.registration_find(**machine.registration_request()) == elsewhere
    with scope.organization(globex.id):
        assert not Location.objects.exists()
    with pytest.raises(errors.AlreadyClaimed):
        enrollment.connector_register_pending(**machine.register_request())


def test_a_machine_leaves_by_its_own_proof(acme: Tenant) -> None:
    machine = Machine()
    connector = claimed(acme, machine)
    with pytest.raises(errors.NotFound):
        stranger = {**machine.registration_request(), "proof": Machine().registration_request()["proof"]}
        enrollment.connector_release_itself(**stranger)
    enrollment.connector_release_itself(**machine.registration_request())
    with scope.organization(acme.id):
        told = AuditEvent.objects.get(event_type="connector:released")
        assert (told.actor_kind, told.actor_id) == ("connector", str(connector.id))
    with pytest.raises(errors.NotFound):
        enrollment.connector_release_itself(**machine.registration_request())


def test_a_transferred_machine_takes_its_repositories_along(acme: Tenant, second: Project) -> None:
    machine = Machine()
    connector = claimed(acme, machine, project_id=acme.project.id)
    shares(connector, machine, "one", "two")
    with scope.organization(acme.id):
        target = acting(acme, project_id=second.id)
        claims.connector_transfer(grant=acting(acme), connector_id=connector.id, target=target)
        assert {row.project_id for row in Location.objects.all()} == {second.id}
        assert Claim.objects.get().project_id == second.id
        elsewhere, _ = tenancy.workspace_ensure(organization_id=acme.id, name="elsewhere", actor=None)
        target = acting(acme, workspace_id=elsewhere.id)
        claims.connector_transfer(grant=acting(acme), connector_id=connector.id, target=target)
        assert {row.project_id for row in Location.objects.all()} == {None}, "nowhere beyond its target"
        with pytest.raises(errors.NotFound):
            selectors.location_resolve(project_id=second.id)


def test_who_is_bound_to_a_project_changes_its_machines_only(acme: Tenant, second: Project) -> None:
    mine, theirs = (claimed(acme, Machine(), project_id=row.id) for row in (acme.project, second))
    whole = claimed(acme, Machine())
    bound = acme.principal(Role.ORG_ADMIN, project_ids=frozenset({acme.project.id}))
    with scope.organization(acme.id):
        grant = authorization.authorize(bound, Scope.CONNECTORS_WRITE)
        services.connector_disable(grant=grant, connector_id=mine.id)
        for other in (theirs, whole):
            with pytest.raises(errors.NotFound):
                services.connector_disable(grant=grant, connector_id=other.id)
        reading = authorization.authorize(bound, Scope.CONNECTORS_READ)
        assert [row.id for row in selectors.connector_page(grant=reading).items] == [mine.id]


def test_two_who_rename_a_machine_do_not_overwrite_each_other(acme: Tenant) -> None:
    connector = claimed(acme, Machine())
    with scope.organization(acme.id):
        services.connector_rename(grant=acting(acme), connector_id=connector.id, label="one", expected_version=1)
        with pytest.raises(errors.PreconditionFailed):
            services.connector_rename(grant=acting(acme), connector_id=connector.id, label="two", expected_version=1)
        assert selectors.connector_get(grant=acting(acme, Scope.CONNECTORS_READ), connector_id=connector.id).label == (
            "one"
        )


def test_a_daemon_that_is_spoken_of_no_more_is_remembered_as_missing(acme: Tenant) -> None:
    first = Machine()
    connector = claimed(acme, first, project_id=acme.project.id)
    shares(connector, first, "one")
    replaced = Machine(key=first.key)
    shares(connector, replaced, "one")
    with scope.organization(acme.id):
        reading = acting(acme, Scope.CONNECTORS_READ)
        seen = selectors.instance_page(grant=reading, connector_id=connector.id).items
        assert {row.instance_id: row.missing_since is None for row in seen} == {
            first.instance_id: False,
            replaced.instance_id: True,
        }
        assert len(selectors.instance_page(grant=reading, with_missing=False).items) == 1
    shares(connector, first, "one")
    with scope.organization(acme.id):
        assert Instance.objects.get(instance_id=first.instance_id).missing_since is None
