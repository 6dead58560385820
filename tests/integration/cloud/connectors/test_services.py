from collections.abc import Callable

import pytest

from cloud.access import authorization
from cloud.audit.models import AuditEvent
from cloud.connectors import links, services
from cloud.connectors.models import Connector, Instance, Location
from cloud.tenancy import scope
from local_daemon.protocol import errors, ids
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

MakeConnector = Callable[..., Connector]


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def connected(acme: Tenant, machine: Machine, make_connector: MakeConnector) -> Connector:
    """A machine of Acme with its first link open."""
    connector = make_connector(acme, machine)
    links.link_open(connector_id=connector.id, link_owner="process-1")
    return connector


def shared_labels() -> list[str]:
    return sorted(Location.objects.filter(is_shared=True).values_list("repository_label", flat=True))


def test_what_is_offered_is_shared_and_what_is_missing_is_not_any_more(
    acme: Tenant, machine: Machine, connected: Connector
) -> None:
    first = services.advertise_apply(connector_id=connected.id, epoch=1, advertised=machine.advertisement("one", "two"))
    assert [row.project_id for row in first] == [acme.project.id] * 2
    services.advertise_apply(connector_id=connected.id, epoch=1, advertised=machine.advertisement("two", "three"))
    with scope.organization(acme.id):
        assert shared_labels() == ["three", "two"]
        assert Location.objects.count() == 3
        told = [e.event_type for e in AuditEvent.objects.filter(target_kind="location").order_by("id")]
    assert told == ["location:shared"] * 3 + ["location:unshared"]


def test_executors_that_came_or_went_are_known_from_the_next_advertisement_of_the_same_link(
    acme: Tenant, machine: Machine, connected: Connector
) -> None:
    for executors in (("patch", "codex"), ("claude", "patch"), ("patch",)):
        advertised = machine.advertisement("one").model_copy(update={"executors": executors})
        services.advertise_apply(connector_id=connected.id, epoch=1, advertised=advertised)
        with scope.organization(acme.id):
            assert tuple(Instance.objects.get().executors) == executors


def test_a_repository_that_comes_back_is_the_same_place(acme: Tenant, machine: Machine, connected: Connector) -> None:
    (before,) = services.advertise_apply(connector_id=connected.id, epoch=1, advertised=machine.advertisement("one"))
    services.advertise_apply(connector_id=connected.id, epoch=1, advertised=machine.advertisement())
    (again,) = services.advertise_apply(connector_id=connected.id, epoch=1, advertised=machine.advertisement("one"))
    assert before.id == again.id
    assert again.is_shared


def test_repeating_an_offer_tells_nothing_new(acme: Tenant, machine: Machine, connected: Connector) -> None:
    for _ in range(3):
        services.advertise_apply(connector_id=connected.id, epoch=1, advertised=machine.advertisement("one"))
    with scope.organization(acme.id):
        assert AuditEvent.objects.filter(event_type="location:shared").count() == 1
        instance = Instance.objects.get()
    assert (instance.instance_id, instance.executors) == (machine.instance_id, ["patch", "codex"])


def test_another_daemon_behind_the_connector_takes_the_place_of_the_first(
    acme: Tenant, machine: Machine, connected: Connector
) -> None:
    services.advertise_apply(connector_id=connected.id, epoch=1, advertised=machine.advertisement("one"))
    services.advertise_apply(connector_id=connected.id, epoch=1, advertised=Machine().advertisement("other"))
    with scope.organization(acme.id):
        assert shared_labels() == ["other"]


def test_an_old_link_offers_nothing(acme: Tenant, machine: Machine, connected: Connector) -> None:
    links.link_open(connector_id=connected.id, link_owner="process-2")
    with pytest.raises(errors.PreconditionFailed):
        services.advertise_apply(connector_id=connected.id, epoch=1, advertised=machine.advertisement("one"))
    with scope.organization(acme.id):
        assert not Location.objects.exists()


def test_an_unknown_connector_offers_nothing(db: None, machine: Machine) -> None:
    with pytest.raises(errors.NotFound):
        services.advertise_apply(connector_id=ids.new_uuid7(), epoch=1, advertised=machine.advertisement("one"))


def test_shutting_out_and_letting_in_are_told_once(acme: Tenant, connected: Connector) -> None:
    with scope.organization(acme.id):
        grant = authorization.authorize(acme.principal(), Scope.CONNECTORS_WRITE)
        services.connector_disable(grant=grant, connector_id=connected.id)
        services.connector_disable(grant=grant, connector_id=connected.id)
        services.connector_enable(grant=grant, connector_id=connected.id)
        told = AuditEvent.objects.filter(event_type__in=["connector:disabled", "connector:enabled"]).order_by("id")
        assert [event.event_type for event in told] == ["connector:disabled", "connector:enabled"]


def test_another_tenants_machine_does_not_exist(acme: Tenant, globex: Tenant, connected: Connector) -> None:
    with scope.organization(globex.id), pytest.raises(errors.NotFound):
        grant = authorization.authorize(globex.principal(), Scope.CONNECTORS_WRITE)
        services.connector_disable(grant=grant, connector_id=connected.id)
