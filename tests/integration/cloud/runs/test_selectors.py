"""What the cloud last heard is read newest first, page by page, by who reaches it."""

import pytest

from cloud.access import authorization
from cloud.access.principals import Principal
from cloud.permissions.roles import Role
from cloud.runs import selectors
from cloud.runs.models import RunSnapshot, Snapshot
from cloud.tenancy import scope
from local_daemon.protocol import errors, ids
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
            steps = authorization.authorize_for(who, selectors.step_page)
            return (
                [*selectors.run_page(grant=authorization.authorize_for(who, selectors.run_page)).items],
                [*selectors.step_page(grant=steps, run_id=log.run_id).items],
                [*selectors.gate_page(grant=authorization.authorize_for(who, selectors.gate_page)).items],
            )

    assert [len(rows) for rows in read(acme.principal())] == [1, 1, 1]
    viewer = acme.principal(Role.PROJECT_VIEWER, project_ids=frozenset({acme.project.id}))
    assert [len(rows) for rows in read(viewer)] == [1, 1, 1]
    for stranger in (acme.principal(Role.PROJECT_VIEWER, project_ids=frozenset()), globex.principal()):
        assert [len(rows) for rows in read(stranger)] == [0, 0, 0]


def test_a_page_begins_where_the_one_before_ended(acme: Tenant, log: Log) -> None:
    with scope.organization(acme.id):
        grant = authorization.authorize_for(acme.principal(), selectors.run_page)
        page = selectors.run_page(grant=grant, limit=1)
        assert page.next_before == page.items[0].run_id
        assert selectors.run_page(grant=grant, before=page.next_before) == selectors.Newest(items=[], next_before=None)
        assert selectors.run_page(grant=grant, state=RunState.FAILED).items == []
        gates = authorization.authorize_for(acme.principal(), selectors.gate_page)
        assert len(selectors.gate_page(grant=gates, state=GateState.OPEN, project_id=acme.project.id).items) == 1


def test_a_search_looks_through_so_many_runs_a_page_and_says_where_it_goes_on(
    acme: Tenant, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of a title has no index: what one page costs is bounded, whatever is searched for."""
    monkeypatch.setattr(selectors, "SEARCHED_MAX", 3)
    with scope.organization(acme.id):
        known = RunSnapshot.objects.get()
        made = sorted(ids.new_id(ids.IdPrefix.RUN) for _ in range(7))
        for number, run_id in enumerate(made):
            known.pk, known.run_id, known.title = None, run_id, "rare" if number in (0, 6) else "usual"
            known.id = ids.new_uuid7()
            known.save(force_insert=True)
        grant = authorization.authorize_for(acme.principal(), selectors.run_page)
        pages, before = [], None
        while not pages or before is not None:
            page = selectors.run_page(grant=grant, search="ARE", before=before)
            pages.append([run.run_id for run in page.items])
            before = page.next_before
    assert pages == [[made[6]], [], [made[0]]]


def test_a_search_that_fills_its_page_goes_on_behind_what_it_found(acme: Tenant, log: Log) -> None:
    with scope.organization(acme.id):
        grant = authorization.authorize_for(acme.principal(), selectors.run_page)
        title = RunSnapshot.objects.get().title
        page = selectors.run_page(grant=grant, search=title, limit=1)
        assert page.next_before == page.items[0].run_id == log.run_id
        assert selectors.run_page(grant=grant, search="%", limit=1).items == []


def test_what_is_not_there_is_not_found(acme: Tenant, log: Log) -> None:
    with scope.organization(acme.id):
        grant = authorization.authorize_for(acme.principal(), selectors.run_get)
        assert selectors.run_get(grant=grant, run_id=log.run_id).run_id == log.run_id
        with pytest.raises(errors.NotFound):
            selectors.run_get(grant=grant, run_id="run_" + "0" * 26)
