from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cloud.access import authorization
from cloud.access.principals import Principal
from cloud.connectors import links, mapping, selectors, services
from cloud.connectors.models import Connector, Location
from cloud.permissions.roles import Role
from cloud.tenancy import projects, scope
from cloud.tenancy import services as tenancy
from local_daemon.protocol import errors, ids
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

MakeConnector = Callable[..., Connector]
Share = Callable[..., list[Location]]


@pytest.fixture
def share(make_connector: MakeConnector) -> Share:
    """Connects a new machine of a tenant and has it share repositories."""

    def make(tenant: Tenant, *labels: str) -> list[Location]:
        machine = Machine()
        connector = make_connector(tenant, machine)
        grant = links.link_open(connector_id=connector.id, link_owner="process-1")
        return services.advertise_apply(
            connector_id=connector.id, epoch=grant.epoch, advertised=machine.advertisement(*labels)
        )

    return make


def test_the_only_place_needs_no_selector_and_one_query(acme: Tenant, share: Share) -> None:
    (place,) = share(acme, "one")
    with scope.organization(acme.id), CaptureQueriesContext(connection) as queries:
        found = selectors.location_resolve(project_id=acme.project.id)
        assert (found.id, found.instance.connector.link_owner) == (place.id, "process-1")
    assert len(queries) == 1


def test_of_several_places_nothing_is_chosen_at_random(acme: Tenant, share: Share) -> None:
    one, two = share(acme, "one", "two")
    with scope.organization(acme.id):
        with pytest.raises(errors.AmbiguousLocation) as told:
            selectors.location_resolve(project_id=acme.project.id)
        candidates = {candidate["location_id"] for candidate in told.value.attributes["candidates"]}
        assert candidates == {str(one.id), str(two.id)}
        assert selectors.location_resolve(project_id=acme.project.id, selector=two.id).id == two.id
        assert selectors.location_resolve(project_id=acme.project.id, selector=one.repository_id).id == one.id
        with pytest.raises(errors.AmbiguousLocation):
            selectors.location_resolve(project_id=acme.project.id, selector=one.instance.instance_id)


def test_a_machine_may_be_named(acme: Tenant, share: Share) -> None:
    (one,) = share(acme, "one")
    share(acme, "two")
    with scope.organization(acme.id):
        found = selectors.location_resolve(project_id=acme.project.id, selector=one.instance.instance_id)
    assert found.id == one.id


def test_what_is_not_shared_or_not_ones_own_does_not_exist(acme: Tenant, globex: Tenant, share: Share) -> None:
    (theirs,) = share(globex, "theirs")
    (place,) = share(acme, "one")
    with scope.organization(acme.id):
        for selector in (theirs.id, ids.new_uuid7(), "../etc/passwd"):
            with pytest.raises(errors.NotFound):
                selectors.location_resolve(project_id=acme.project.id, selector=selector)
        with pytest.raises(errors.NotFound):
            selectors.location_resolve(project_id=globex.project.id)
        Location.objects.filter(id=place.id).update(is_shared=False)
        with pytest.raises(errors.NotFound):
            selectors.location_resolve(project_id=acme.project.id)


def test_projects_are_listed_with_their_places_in_two_queries(acme: Tenant, share: Share) -> None:
    share(acme, "one", "two")
    with scope.organization(acme.id):
        grant = authorization.authorize(acme.principal(), Scope.PROJECTS_READ)
        with CaptureQueriesContext(connection) as queries:
            ((project, places),) = selectors.project_list(grant=grant)
    assert len(queries) == 2
    assert project.id == acme.project.id
    assert {selectors.location_facts(place)["repository"] for place in places} == {"one", "two"}


def test_a_principal_bound_to_projects_sees_only_those_and_their_machines(acme: Tenant, share: Share) -> None:
    share(acme, "one")
    bound = acme.principal(project_ids=frozenset({ids.new_uuid7()}))
    with scope.organization(acme.id):
        assert selectors.project_list(grant=authorization.authorize(bound, Scope.PROJECTS_READ)) == []
        assert selectors.connector_list(grant=authorization.authorize(bound, Scope.CONNECTORS_READ)) == []
        everyone = authorization.authorize(acme.principal(), Scope.CONNECTORS_READ)
        assert [row.label for row in selectors.connector_list(grant=everyone)] == ["builder"]


def test_of_a_machine_that_serves_others_too_only_ones_own_repositories_are_told(acme: Tenant, share: Share) -> None:
    mine, theirs = share(acme, "mine", "theirs")
    machine = mine.instance.connector_id
    with scope.organization(acme.id):
        owner = acme.principal()
        elsewhere, _ = tenancy.workspace_ensure(organization_id=acme.id, name="elsewhere", actor=None)
        creating = authorization.authorize(owner, Scope.PROJECTS_WRITE, workspace_id=elsewhere.id)
        secret = projects.project_create(grant=creating, workspace_id=elsewhere.id, name="Secret")
        mapping.location_map(
            grant=authorization.authorize(owner, Scope.CONNECTORS_WRITE), location_id=theirs.id, project_id=secret.id
        )

        def repositories(principal: Principal) -> list[str]:
            grant = authorization.authorize(principal, Scope.CONNECTORS_READ)
            found = selectors.connector_get(grant=grant, connector_id=machine)
            return sorted(row.repository_label for one in found.instances.all() for row in one.locations.all())

        assert repositories(owner) == ["mine", "theirs"]
        assert repositories(acme.principal(Role.PROJECT_VIEWER, project_ids=frozenset({secret.id}))) == ["theirs"]
