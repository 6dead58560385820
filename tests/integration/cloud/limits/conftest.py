"""A tenant with a machine linked to this process, whose calls are accepted here."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from cloud.access.principals import Principal
from cloud.connectors import links, services
from cloud.connectors.models import Connector
from cloud.dispatch import acceptance, wake
from cloud.dispatch.acceptance import Accepted, Terms
from cloud.dispatch.requests import Sent
from cloud.limits import services as limits
from cloud.limits import standings
from cloud.limits.allowances import Allowance
from cloud.tenancy import scope
from tests.integration.cloud.conftest import MakeConnector
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

Call = Callable[..., Accepted]
SetLimits = Callable[..., None]


@pytest.fixture(autouse=True)
def forget(transactional_db: None) -> Iterator[None]:
    yield
    standings.standings_forget()


@pytest.fixture
def planner(acme: Tenant) -> Principal:
    return acme.principal()


@pytest.fixture
def connector(acme: Tenant, make_connector: MakeConnector) -> Connector:
    machine = Machine()
    made = make_connector(acme, machine)
    opened = links.link_open(connector_id=made.id, link_owner=wake.PROCESS, link_channel=wake.CHANNEL)
    services.advertise_apply(connector_id=made.id, epoch=opened.epoch, advertised=machine.advertisement("one"))
    return made


@pytest.fixture
def call(acme: Tenant, connector: Connector, planner: Principal) -> Call:
    """Makes a call; `runs.list` unless told otherwise."""

    def make(
        operation: str = "runs.list",
        *,
        principal: Principal = planner,
        key: str | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Accepted:
        parameters = {"artifact_id": "art_" + "0" * 26} if operation.startswith("artifacts.") else {}
        steps = [{"name": "one", "task": {"goal": "x", "executor": "codex"}}]
        bodies = {"runs.create": {"objective": "x"}, "manifests.submit": {"objective": "x", "steps": steps}}
        body = bodies.get(operation)
        return acceptance.call_accept(
            identify=lambda: principal,
            sent=Sent(operation=operation, parameters=parameters, query=query or {}, body=body, idempotency_key=key),
            project_id=str(acme.project.id),
            terms=Terms(client_address="192.0.2.7"),
            here=wake.PROCESS,
        )

    return make


@pytest.fixture
def limit_all(acme: Tenant) -> SetLimits:
    """Sets what the whole organization may use."""

    def set_(**fields: int) -> None:
        with scope.organization(acme.id):
            limits.organization_limits_set(
                organization_id=acme.id, allowance=Allowance(**fields), actor=acme.principal()
            )

    return set_
