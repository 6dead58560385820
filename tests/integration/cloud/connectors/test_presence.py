"""When a machine came and went is on record, one row a change, for a while."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from cloud.access import authorization
from cloud.connectors import links, presence
from cloud.connectors.models import Connector, Presence
from cloud.tenancy import scope
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def connector(acme: Tenant, make_connector: Callable[..., Connector]) -> Connector:
    return make_connector(acme)


def changes(tenant: Tenant, connector: Connector) -> list[tuple[bool, int]]:
    with scope.organization(tenant.id):
        grant = authorization.authorize(tenant.principal(), Scope.CONNECTORS_READ)
        rows = presence.presence_page(grant=grant, connector_id=connector.id)
    return [(row.is_online, row.epoch) for row in rows]


def test_each_change_is_noted_and_nothing_else(acme: Tenant, connector: Connector) -> None:
    links.link_open(connector_id=connector.id, link_owner="process-1")
    links.link_heartbeat(connector.id, 1)
    links.link_open(connector_id=connector.id, link_owner="process-2")
    links.link_close(connector.id, 1)
    links.link_close(connector.id, 2)
    links.link_open(connector_id=connector.id, link_owner="process-1")
    assert changes(acme, connector) == [(True, 3), (False, 2), (True, 1)]


def test_old_changes_are_forgotten_but_never_the_last(acme: Tenant, connector: Connector) -> None:
    links.link_open(connector_id=connector.id, link_owner="process-1")
    links.link_close(connector.id, 1)
    with scope.organization(acme.id):
        assert presence.presence_prune(acme.id, before=datetime.now(UTC) - timedelta(days=1)) == 0
        assert presence.presence_prune(acme.id, before=datetime.now(UTC)) == 1
        assert presence.presence_prune(acme.id, before=datetime.now(UTC)) == 0
    assert changes(acme, connector) == [(False, 1)]


def test_another_tenants_machine_has_no_history(acme: Tenant, globex: Tenant, connector: Connector) -> None:
    links.link_open(connector_id=connector.id, link_owner="process-1")
    with pytest.raises(errors.NotFound):
        changes(globex, connector)
    with scope.organization(globex.id):
        assert not Presence.objects.exists()
