"""A run with more steps than one page: what tells most of it is shown, and how many steps are not."""

from typing import Any

import pytest

from local_daemon.client import http
from local_daemon.config import home as homes
from local_daemon.protocol import messages, specs
from tests.integration.daemon.shell import Operator

MANY = 203


@pytest.fixture(scope="module")
def long_run(operator: Operator) -> dict[str, Any]:
    """A run whose first step failed, whose second completed, and that has many more that a person has to let begin."""
    run_id = operator.ask("run", "create", "a long one")["run"]["run_id"]
    words = ("submit", "--goal", "g", "--run", run_id, "--wait", "--json", "--executor")
    failed, completed = (operator.say(*words, executor).document for executor in ("fake-failure", "fake-success"))
    task = specs.TaskSpec(goal="g", executor="fake-success", gates=specs.GateRules(before=True))
    place = {"repository_id": operator.ask("repository", "get")["repository_id"], "run_id": run_id}
    with http.connect(homes.Home(root=operator.home)) as client:
        body = messages.StepSubmit(task=task)
        later = [
            client.call("steps.submit", messages.StepAnswer, parameters=place, body=body).step.step_id
            for _ in range(MANY)
        ]
    return {"run_id": run_id, "failed": failed["step_id"], "completed": completed["step_id"], "later": later}


@pytest.mark.parametrize("words", [("run", "get"), ("watch",)])
def test_the_newest_are_shown_and_not_the_oldest(
    operator: Operator, long_run: dict[str, Any], words: tuple[str, ...]
) -> None:
    document = operator.ask(*words, long_run["run_id"])
    shown = [step["step_id"] for step in document["steps"]]
    assert (len(shown), document["steps_left_out"]) == (200, MANY + 2 - 200)
    assert shown[-1] == long_run["later"][-1]
    assert shown == sorted(shown)
    assert long_run["completed"] not in shown


def test_how_many_are_not_shown_is_said_with_the_command_that_lists_them(
    operator: Operator, long_run: dict[str, Any]
) -> None:
    *_, last = operator.say("run", "get", long_run["run_id"]).out.splitlines()
    assert last == f"  and {MANY + 2 - 200} more: ropeway step list {long_run['run_id']}"


def test_all_steps_are_listed_page_by_page_from_either_end_and_by_state(
    operator: Operator, long_run: dict[str, Any]
) -> None:
    words = ("step", "list", long_run["run_id"], "--limit", "200")
    whole = [long_run["failed"], long_run["completed"], *long_run["later"]]
    for order, expected in (((), whole), (("--newest",), whole[::-1])):
        first = operator.ask(*words, *order)
        rest = operator.ask(*words, *order, "--cursor", first["next_cursor"])
        assert [step["step_id"] for step in (*first["items"], *rest["items"])] == expected
    failed = operator.ask(*words, "--state", "failed")["items"]
    assert [step["step_id"] for step in failed] == [long_run["failed"]]
    assert operator.say("step", "list", long_run["run_id"], "--state", "retry_wait").out == "No step is retry_wait.\n"


def test_every_gate_that_waits_is_shown_and_none_of_another_run(operator: Operator, long_run: dict[str, Any]) -> None:
    task = "goal: another\nexecutor: fake-success\ngates: {before: true}\n"
    other = operator.say("submit", "--task", "-", "--wait", "--json", stdin=task).document
    gates = operator.ask("watch", long_run["run_id"])["gates"]
    assert sorted(gate["step_id"] for gate in gates) == sorted(long_run["later"])
    assert [gate["step_id"] for gate in operator.ask("watch", other["run_id"])["gates"]] == [other["step_id"]]
