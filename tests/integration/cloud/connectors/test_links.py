from collections.abc import Callable

import pytest

from cloud.access import authorization
from cloud.audit.models import AuditEvent
from cloud.connectors import links, services
from cloud.connectors.models import Connector
from cloud.tenancy import scope
from cloud.tenancy.models import Organization
from local_daemon.protocol import errors, ids
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

MakeConnector = Callable[..., Connector]


def link_of(connector: Connector) -> tuple[str, int]:
    with scope.operator():
        row = Connector.objects.get(id=connector.id)
    return row.link_owner, row.link_epoch


def test_a_connector_is_known_by_its_key(acme: Tenant, make_connector: MakeConnector) -> None:
    machine = Machine()
    connector = make_connector(acme, machine)
    assert links.link_identify(connector.id) == machine.key.public_key().public_bytes_raw()


def test_the_newest_link_wins(acme: Tenant, make_connector: MakeConnector) -> None:
    connector = make_connector(acme)
    first = links.link_open(connector_id=connector.id, link_owner="process-1", remote_address="192.0.2.1")
    second = links.link_open(connector_id=connector.id, link_owner="process-2")
    assert (second.organization_id, second.project_id) == (acme.id, acme.project.id)
    assert second.epoch == first.epoch + 1
    assert not links.link_heartbeat(connector.id, first.epoch)
    assert links.link_heartbeat(connector.id, second.epoch)
    assert not links.link_close(connector.id, first.epoch)
    assert link_of(connector) == ("process-2", second.epoch)
    assert links.link_close(connector.id, second.epoch)
    assert link_of(connector) == ("", second.epoch)
    assert not links.link_heartbeat(connector.id, second.epoch), "a link that was put offline must be closed"
    with scope.organization(acme.id):
        told = AuditEvent.objects.filter(event_type__startswith="link:").order_by("id")
        assert [event.event_type for event in told] == ["link:opened", "link:opened", "link:closed"]


@pytest.mark.parametrize("end", ["connector", "organization"])
def test_a_disabled_machine_is_not_known(acme: Tenant, make_connector: MakeConnector, end: str) -> None:
    connector = make_connector(acme)
    grant = links.link_open(connector_id=connector.id, link_owner="process-1")
    with scope.organization(acme.id):
        if end == "connector":
            may = authorization.authorize(acme.principal(), Scope.CONNECTORS_WRITE)
            services.connector_disable(grant=may, connector_id=connector.id)
        else:
            Organization.objects.update(status="disabled")
    with pytest.raises(errors.NotFound):
        links.link_identify(connector.id)
    with pytest.raises(errors.NotFound):
        links.link_open(connector_id=connector.id, link_owner="process-1")
    assert not links.link_heartbeat(connector.id, grant.epoch)


def test_an_unknown_connector_is_not_known(db: None) -> None:
    with pytest.raises(errors.NotFound):
        links.link_identify(ids.new_uuid7())
    with pytest.raises(errors.NotFound):
        links.link_open(connector_id=ids.new_uuid7(), link_owner="process-1")
