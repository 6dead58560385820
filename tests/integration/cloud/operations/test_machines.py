"""The fleet, as a planner is told of it."""

from datetime import UTC, datetime

import pytest

from cloud.connectors import links, services
from cloud.connectors.models import Connector
from cloud.polling.models import ConnectorHealth, Health
from cloud.tenancy import scope
from local_daemon.protocol import errors
from tests.integration.cloud.conftest import MakeConnector
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.operations.asking import answered, perform
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def connector(acme: Tenant, make_connector: MakeConnector) -> Connector:
    machine = Machine()
    made = make_connector(acme, machine)
    opened = links.link_open(connector_id=made.id, link_owner="process-1")
    services.advertise_apply(connector_id=made.id, epoch=opened.epoch, advertised=machine.advertisement("one", "two"))
    return made


def test_a_machine_says_what_it_shares_and_when_it_was_there(acme: Tenant, connector: Connector) -> None:
    told = perform(acme, "connectors.get", connector_id=str(connector.id))
    assert (told["machine"]["label"], told["machine"]["is_online"]) == ("builder", True)
    (daemon,) = told["daemons"]
    assert daemon["executors"] == ["patch", "codex"]
    assert {row["repository"] for row in daemon["repositories"]} == {"one", "two"}
    assert {row["project_id"] for row in daemon["repositories"]} == {str(acme.project.id)}
    assert [change["is_online"] for change in told["presence"]] == [True]
    links.link_close(connector.id, 1)
    told = perform(acme, "connectors.get", connector_id=str(connector.id))
    assert [change["is_online"] for change in told["presence"]] == [False, True]
    assert told["link_opened_at"] is None


def test_a_machine_says_how_it_answered_when_it_was_last_asked(acme: Tenant, connector: Connector) -> None:
    assert perform(acme, "connectors.get", connector_id=str(connector.id))["health"] is None
    since = datetime(2026, 11, 21, 8, tzinfo=UTC)
    with scope.organization(acme.id):
        ConnectorHealth.objects.create(
            organization_id=acme.id, connector=connector, health=Health.UNREACHABLE, since=since, code="internal"
        )
    health = perform(acme, "connectors.get", connector_id=str(connector.id))["health"]
    assert (health["health"], health["code"], health["executors"]) == ("unreachable", "internal", [])
    assert datetime.fromisoformat(health["since"]) == since


def test_machines_are_listed_page_by_page_and_by_whether_they_are_there(
    acme: Tenant, connector: Connector, make_connector: MakeConnector
) -> None:
    away = make_connector(acme, Machine())
    first = perform(acme, "connectors.list", limit=1)
    second = perform(acme, "connectors.list", limit=1, cursor=first["next_cursor"])
    assert [row["connector_id"] for page in (first, second) for row in page["items"]] == [
        str(connector.id),
        str(away.id),
    ]
    assert second["next_cursor"] is None
    for is_online, expected in ((True, connector), (False, away)):
        (row,) = perform(acme, "connectors.list", is_online=is_online)["items"]
        assert (row["connector_id"], row["serves"]) == (str(expected.id), acme.project.name)
    assert perform(acme, "connectors.list", search="nothing like it")["items"] == []


def test_a_machine_of_another_tenant_or_out_of_reach_is_not_there(
    acme: Tenant, globex: Tenant, connector: Connector
) -> None:
    for stranger in (globex.principal(), acme.principal(project_ids=frozenset())):
        with pytest.raises(errors.NotFound):
            answered(stranger, "connectors.get", connector_id=str(connector.id))
        assert answered(stranger, "connectors.list")["items"] == []
