"""How a machine answered when it was last asked, over HTTP."""

from datetime import UTC, datetime

import pytest

from cloud.connectors.models import Connector
from cloud.polling.models import ConnectorHealth, Health
from cloud.tenancy import scope
from tests.integration.cloud.conftest import MakeConnector
from tests.integration.cloud.rest.client import Api
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def connector(acme: Tenant, make_connector: MakeConnector) -> Connector:
    return make_connector(acme)


def test_a_machine_says_how_it_answered_and_since_when(owner: Api, acme: Tenant, connector: Connector) -> None:
    assert owner.get(f"/connectors/{connector.id}")["health"] is None
    since = datetime(2026, 11, 21, 8, tzinfo=UTC)
    with scope.organization(acme.id):
        ConnectorHealth.objects.create(
            organization_id=acme.id, connector=connector, health=Health.HEALTHY, since=since, executors=["codex"]
        )
    health = owner.get(f"/connectors/{connector.id}")["health"]
    assert (health["health"], health["executors"], health["code"]) == ("healthy", ["codex"], None)
    assert datetime.fromisoformat(health["since"]) == since
