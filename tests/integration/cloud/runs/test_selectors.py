"""What the cloud last heard is read newest first, page by page, by who reaches it."""

import pytest

from cloud.access import authorization
from cloud.access.principals import Principal
from cloud.permissions.roles import Role
from cloud.runs import selectors
from cloud.runs.models import Snapshot
from cloud.tenancy import scope
from local_daemon.protocol import errors
from local_daemon.protocol.states import GateState, RunState
from tests.integration.cloud.conftest import MakeConnector
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.runs.test_services import Log
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def log(acme: Tenant, make_connector: MakeConnector) -> Log:
    machine = Machine()
    log = Log(acme, make_connector(acme, machine), machine)
    epoch = log.link()
    log.apply(epoch, log.run(), log.step(), log.gate())
    return log


def test_runs_steps_and_gates_are_read_by_who_reaches_them(acme: Tenant, globex: Tenant, log: Log) -> None:
    def read(who: Principal) -> tuple[list[Snapshot], ...]:
        with scope.organization(who.organization_id):
            return (
                list(selectors.run_page(grant=authorization.authorize_for(who, selectors.run_page))),
                list(
                    selectors.step_page(grant=authorization.authorize_for(who, selectors.step_page), run_id=log.run_id)
                ),
                list(selectors.gate_page(grant=authorization.authorize_for(who, selectors.gate_page))),
            )

    assert [len(rows) for rows in read(acme.principal())] == [1, 1, 1]
    viewer = acme.principal(Role.PROJECT_VIEWER, project_ids=frozenset({acme.project.id}))
    assert [len(rows) for rows in read(viewer)] == [1, 1, 1]
    for stranger in (acme.principal(Role.PROJECT_VIEWER, project_ids=frozenset()), globex.principal()):
        assert [len(rows) for rows in read(stranger)] == [0, 0, 0]


def test_a_page_begins_where_the_one_before_ended(acme: Tenant, log: Log) -> None:
    with scope.organization(acme.id):
        grant = authorization.authorize_for(acme.principal(), selectors.run_page)
        (row,) = selectors.run_page(grant=grant, limit=1)
        assert selectors.run_page(grant=grant, before=row.run_id) == []
        assert selectors.run_page(grant=grant, state=RunState.FAILED) == []
        gates = authorization.authorize_for(acme.principal(), selectors.gate_page)
        assert len(selectors.gate_page(grant=gates, state=GateState.OPEN, project_id=acme.project.id)) == 1


def test_what_is_not_there_is_not_found(acme: Tenant, log: Log) -> None:
    with scope.organization(acme.id):
        grant = authorization.authorize_for(acme.principal(), selectors.run_get)
        assert selectors.run_get(grant=grant, run_id=log.run_id).run_id == log.run_id
        with pytest.raises(errors.NotFound):
            selectors.run_get(grant=grant, run_id="run_" + "0" * 26)
