"""Who dials in a machine's name and may not is told to the machine's organization, once in a while."""

from collections.abc import Callable, Iterator

import pytest

from cloud.access import authorization
from cloud.audit import told_once
from cloud.audit.models import AuditEvent
from cloud.connectors import claims, refusals, services
from cloud.connectors.models import Connector
from cloud.tenancy import scope
from local_daemon.protocol import ids
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    refusals._told.forget()
    yield
    refusals._told.forget()


@pytest.fixture
def connector(acme: Tenant, make_connector: Callable[..., Connector]) -> Connector:
    return make_connector(acme)


def told(tenant: Tenant) -> list[tuple[str, str, str, str | None]]:
    with scope.organization(tenant.id):
        rows = AuditEvent.objects.filter(event_type="link:refused").order_by("id")
        return list(rows.values_list("target_id", "details__because", "actor_kind", "client_address"))


def refuse(connector: Connector, address: str = "192.0.2.9") -> None:
    refusals.link_refused(connector.id, remote_address=address)


def test_who_does_not_prove_it_is_told_once_a_minute_from_however_many_addresses(
    acme: Tenant, globex: Tenant, connector: Connector
) -> None:
    for number in range(9, 30):
        refuse(connector, f"192.0.2.{number}")
    assert told(acme) == [(str(connector.id), "unproven", "system", "192.0.2.9")]
    assert told(globex) == []


def test_names_that_were_made_up_do_not_make_another_be_told_again(
    acme: Tenant, connector: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_once, "KEPT", 2)
    refuse(connector)
    for _ in range(3):
        refusals.link_refused(ids.new_uuid7(), remote_address="192.0.2.9")
    refuse(connector)
    assert len(told(acme)) == 1


def test_a_machine_that_was_disabled_or_released_is_told_as_that(acme: Tenant, connector: Connector) -> None:
    with scope.organization(acme.id):
        grant = authorization.authorize(acme.principal(), Scope.CONNECTORS_WRITE)
        services.connector_disable(grant=grant, connector_id=connector.id)
    refuse(connector)
    with scope.organization(acme.id):
        claims.connector_release(grant=grant, connector_id=connector.id)
    refusals._told.forget()
    refuse(connector)
    assert [because for _, because, _, _ in told(acme)] == ["disabled", "released"]


def test_a_machine_that_never_was_is_told_to_nobody(acme: Tenant) -> None:
    refusals.link_refused(ids.new_uuid7(), remote_address="192.0.2.9")
    assert told(acme) == []
