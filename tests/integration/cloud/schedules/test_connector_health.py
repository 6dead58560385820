from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cloud.connectors import links, services
from cloud.connectors.models import Connector
from cloud.dispatch.requests import Sent, request_parse
from cloud.polling import rounds
from cloud.polling.models import ConnectorHealth
from cloud.schedules import connector_health, polling
from cloud.schedules.connector_health import ConnectorHealthSource
from cloud.tenancy import scope
from local_daemon.protocol import errors
from tests.integration.cloud.conftest import MakeConnector
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC)


class Fleet:
    """Every linked machine, answering the same."""

    def __init__(self) -> None:
        self.refusal: errors.RopewayError | None = None
        self.asked = 0

    def dispatch(self, *, operation_name: str, parameters: Any, query: Any, body: Any, **_asked: Any) -> Any:
        request_parse(Sent(operation=operation_name, parameters=parameters, query=query, body=body))
        self.asked += 1
        if self.refusal is not None:
            raise self.refusal
        return SimpleNamespace(body={})


def link(tenant: Tenant, connector: Connector, machine: Machine, *executors: str) -> None:
    opened = links.link_open(connector_id=connector.id, link_owner="here")
    offered = machine.advertisement(tenant.organization.name)
    services.advertise_apply(
        connector_id=connector.id,
        epoch=opened.epoch,
        advertised=offered.model_copy(update={"executors": executors}),
    )


def poll(tenant: Tenant, fleet: Fleet, *, minutes: int = 0) -> int:
    return rounds.source_poll(
        ConnectorHealthSource(tenant.id, dispatch=fleet.dispatch),
        organization_id=tenant.id,
        now=NOW + timedelta(minutes=minutes),
    )


def healths(tenant: Tenant) -> list[tuple[str, str, list[str]]]:
    with scope.organization(tenant.id):
        return list(ConnectorHealth.objects.order_by("connector_id").values_list("health", "code", "executors"))


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def connector(acme: Tenant, make_connector: MakeConnector, machine: Machine) -> Connector:
    return make_connector(acme, machine)


def test_a_machine_that_is_not_linked_is_offline_and_not_asked(acme: Tenant, connector: Connector) -> None:
    fleet = Fleet()
    assert poll(acme, fleet) == 1
    assert (healths(acme), fleet.asked) == ([("offline", "", [])], 0)


def test_a_linked_machine_that_answers_can_do_what_it_offered(
    acme: Tenant, connector: Connector, machine: Machine
) -> None:
    fleet = Fleet()
    link(acme, connector, machine, "patch", "codex")
    poll(acme, fleet)
    assert healths(acme) == [("healthy", "", ["codex", "patch"])]
    link(acme, connector, machine)
    assert poll(acme, fleet, minutes=10) == 1
    assert healths(acme) == [("degraded", "", [])]
    fleet.refusal = errors.DeadlineExceeded()
    poll(acme, fleet, minutes=20)
    assert healths(acme) == [("unreachable", "deadline_exceeded", [])]


def test_what_has_not_changed_is_no_news_and_keeps_its_since(
    acme: Tenant, connector: Connector, machine: Machine
) -> None:
    fleet = Fleet()
    link(acme, connector, machine)
    poll(acme, fleet)
    with scope.organization(acme.id):
        since = ConnectorHealth.objects.get().since
    assert poll(acme, fleet, minutes=10) == 0
    with scope.organization(acme.id):
        assert ConnectorHealth.objects.get().since == since


def test_a_fleet_of_many_pages_is_asked_as_a_whole(
    acme: Tenant, make_connector: MakeConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connector_health, "MACHINES", 2)
    for _ in range(5):
        make_connector(acme)
    assert poll(acme, Fleet()) == 5
    assert len(healths(acme)) == 5


def test_the_task_polls_every_organization(acme: Tenant, globex: Tenant, make_connector: MakeConnector) -> None:
    for tenant in (acme, globex):
        make_connector(tenant)
    assert polling.run() == 2
    assert polling.run() == 0
