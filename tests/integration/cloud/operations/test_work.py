"""Work over all projects, as a planner is told of it."""

import pytest

from cloud.tenancy import scope, services
from local_daemon.protocol import errors
from tests.integration.cloud.conftest import MakeConnector
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.operations.asking import answered, perform
from tests.integration.cloud.runs.test_services import Log
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def log(acme: Tenant, make_connector: MakeConnector) -> Log:
    machine = Machine()
    log = Log(acme, make_connector(acme, machine), machine)
    log.apply(log.link(), log.run(), log.step("completed"), log.gate())
    return log


def test_a_waiting_gate_says_all_that_deciding_it_takes(acme: Tenant, log: Log) -> None:
    (gate,) = perform(acme, "gates.waiting")["items"]
    assert (gate["kind"], gate["state"], gate["digest"]) == ("after", "open", "1" * 64)
    assert (gate["project_id"], gate["step_id"], gate["is_online"]) == (str(acme.project.id), log.step_id, True)
    (project,) = perform(acme, "projects.list")["items"]
    assert gate["location_id"] in {place["location_id"] for place in project["locations"]}
    assert perform(acme, "gates.waiting", state="approved")["items"] == []
    assert len(perform(acme, "gates.waiting", state=None)["items"]) == 1


def test_runs_and_steps_are_told_as_last_heard_of(acme: Tenant, log: Log) -> None:
    (run,) = perform(acme, "runs.recent")["items"]
    assert (run["run_id"], run["state"], run["project"]) == (log.run_id, "open", "Acme project")
    (step,) = perform(acme, "steps.recent", run_id=log.run_id)["items"]
    assert (step["step_id"], step["state"], step["has_patch"]) == (log.step_id, "completed", False)
    assert perform(acme, "steps.recent", run_id="run_" + "0" * 26)["items"] == []
    assert perform(acme, "runs.recent", state="failed")["items"] == []


@pytest.mark.parametrize(("operation", "id"), [("runs.recent", "run_id"), ("steps.recent", "step_id")])
def test_pages_follow_each_other(acme: Tenant, log: Log, operation: str, id: str) -> None:
    first = perform(acme, operation, limit=1)
    assert first["next_cursor"] == first["items"][0][id]
    assert perform(acme, operation, limit=1, cursor=first["next_cursor"]) == {"items": [], "next_cursor": None}
    with pytest.raises(errors.InvalidRequest):
        perform(acme, operation, cursor="gate_" + "0" * 26)


@pytest.mark.parametrize("operation", ["runs.recent", "steps.recent", "gates.waiting"])
def test_what_is_out_of_reach_is_not_there(acme: Tenant, globex: Tenant, log: Log, operation: str) -> None:
    with scope.organization(acme.id):
        beside, _ = services.project_ensure(workspace=acme.workspace, name="beside", actor=None)
    elsewhere = acme.principal(project_ids=frozenset({beside.id}))
    for stranger in (globex.principal(), elsewhere):
        assert answered(stranger, operation)["items"] == []
    with pytest.raises(errors.NotFound):
        answered(elsewhere, operation, project_id=str(acme.project.id))
    with pytest.raises(errors.NotFound):
        perform(globex, operation, project_id=str(acme.project.id))
