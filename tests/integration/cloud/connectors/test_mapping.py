"""Repositories are mapped to projects one by one, by who reaches the machine and the project."""

from collections.abc import Callable
from typing import Any

import pytest

from cloud.access import authorization
from cloud.audit.models import AuditEvent
from cloud.connectors import links, mapping, selectors, services
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


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def connector(acme: Tenant, machine: Machine, make_connector: Callable[..., Connector]) -> Connector:
    """A machine that the whole organization claimed, for no project yet."""
    found = make_connector(acme, machine)
    with scope.organization(acme.id):
        Claim.objects.update(project=None, workspace=None)
    links.link_open(connector_id=found.id, link_owner="process-1")
    return found


@pytest.fixture
def second(acme: Tenant) -> Project:
    with scope.organization(acme.id):
        project, _ = tenancy.project_ensure(workspace=acme.workspace, name="second", actor=None)
    return project


def shares(connector: Connector, machine: Machine, *labels: str) -> list[str]:
    found = services.advertise_apply(connector_id=connector.id, epoch=1, advertised=machine.advertisement(*labels))
    return [row.repository_label for row in found]


def acting(tenant: Tenant, wanted: Scope = Scope.CONNECTORS_WRITE, **reach: Any) -> Any:
    return authorization.authorize(tenant.principal(Role.ORG_ADMIN, **reach), wanted)


def where(label: str) -> Location:
    return Location.objects.get(repository_label=label)


def test_a_repository_serves_nobody_before_it_is_mapped(
    acme: Tenant, second: Project, connector: Connector, machine: Machine
) -> None:
    assert shares(connector, machine, "one", "two") == [], "nothing of them is followed"
    with scope.organization(acme.id):
        for project, label in ((acme.project, "one"), (second, "two")):
            mapping.location_map(grant=acting(acme), location_id=where(label).id, project_id=project.id)
        assert selectors.location_resolve(project_id=second.id).repository_label == "two"
        assert [e.project_id for e in AuditEvent.objects.filter(event_type="location:mapped").order_by("id")] == [
            acme.project.id,
            second.id,
        ]
    assert sorted(shares(connector, machine, "one", "two")) == ["one", "two"], "and stay where they are mapped"
    with scope.organization(acme.id):
        mapping.location_map(grant=acting(acme), location_id=where("two").id, project_id=None)
        with pytest.raises(errors.NotFound):
            selectors.location_resolve(project_id=second.id)


def test_a_daemons_new_repositories_go_where_it_is_mapped(
    acme: Tenant, second: Project, connector: Connector, machine: Machine
) -> None:
    shares(connector, machine, "one", "two")
    with scope.organization(acme.id):
        mapping.location_map(grant=acting(acme), location_id=where("one").id, project_id=acme.project.id)
        mapping.instance_map(grant=acting(acme), instance_id=Instance.objects.get().id, project_id=second.id)
    assert sorted(shares(connector, machine, "one", "two", "three")) == ["one", "three", "two"]
    with scope.organization(acme.id):
        assert [where(label).project_id for label in ("one", "two", "three")] == [acme.project.id, second.id, second.id]


def test_who_maps_reaches_the_machine_and_the_project(
    acme: Tenant, globex: Tenant, second: Project, connector: Connector, machine: Machine
) -> None:
    shares(connector, machine, "one")
    with scope.organization(acme.id):
        location = where("one")
        with pytest.raises(errors.NotFound):
            mapping.location_map(grant=acting(acme), location_id=location.id, project_id=globex.project.id)
        bound = acting(acme, project_ids=frozenset({second.id}))
        with pytest.raises(errors.NotFound):
            mapping.location_map(grant=bound, location_id=location.id, project_id=second.id)
        mapping.location_map(grant=acting(acme), location_id=location.id, project_id=second.id)
        reading = acting(acme, Scope.CONNECTORS_READ, project_ids=frozenset({second.id}))
        assert [row.id for row in selectors.location_page(grant=reading).items] == [location.id]
        assert [row.id for row in selectors.connector_page(grant=reading).items] == [connector.id], "seen, not held"
        with pytest.raises(errors.NotFound):
            mapping.location_map(grant=bound, location_id=location.id, project_id=None)
