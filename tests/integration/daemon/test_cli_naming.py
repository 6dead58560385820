"""An id need not be typed whole: its beginning will do while it is the only one, and so will `latest`."""

import pytest

from local_daemon.protocol import ids
from tests.integration.daemon.machine import repository_make
from tests.integration.daemon.shell import Operator

WORDS = ("submit", "--goal", "g", "--executor", "fake-success", "--wait")


def shared_beginning(first: str, second: str) -> str:
    """How both of these begin."""
    same = next(at for at in range(len(first)) if first[at] != second[at])
    return first[:same]


def test_the_newest_of_each_noun_is_meant_by_latest(operator: Operator) -> None:
    operator.ask(*WORDS)
    waiting = operator.say("submit", "--goal", "g", "--executor", "fake-blocker", "--wait", "--json").document
    assert operator.ask("step", "get", "latest")["step_id"] == waiting["step_id"]
    assert operator.ask("run", "get", "latest")["run_id"] == waiting["run_id"]
    assert operator.ask("gate", "show", "latest")["gate_id"] == waiting["gate_id"]
    assert operator.ask("watch", "latest")["run"]["run_id"] == waiting["run_id"]
    assert operator.ask("usage", "--step", "latest")["step_id"] == waiting["step_id"]
    begun = operator.ask("conversation", "begin", "--executor", "fake-success")["conversation_id"]
    assert operator.ask("conversation", "show", "latest")["conversation_id"] == begun


def test_the_beginning_of_one_id_means_that_id_with_its_noun_or_without(operator: Operator) -> None:
    first, _ = operator.ask(*WORDS)["step_id"], operator.ask(*WORDS)["step_id"]
    for word in (first[:-1], first[:-1].removeprefix("step_"), first.removeprefix("step_"), first):
        assert operator.ask("step", "result", word)["step_id"] == first


def test_the_beginning_of_several_is_refused_with_all_of_them(operator: Operator) -> None:
    first, second = operator.ask(*WORDS)["step_id"], operator.ask(*WORDS)["step_id"]
    shared = shared_beginning(first, second)
    said = operator.say("step", "cancel", shared, "--json")
    assert (said.code, said.document["error"]["code"]) == (30, "invalid_request")
    assert said.document["error"]["attributes"]["candidates"][:2] == [second, first]
    told = operator.say("step", "cancel", shared).err
    assert f"  {first}\n" in told
    assert f"  {second}\n" in told


def test_an_artifact_too_is_found_by_how_its_id_begins(operator: Operator) -> None:
    artifact_id = operator.ask(*WORDS)["artifacts"][0]["artifact_id"]
    assert operator.ask("artifact", "get", artifact_id[:-1])["artifact_id"] == artifact_id


def test_what_there_is_not_is_said(operator: Operator, newcomer: Operator) -> None:
    operator.ask("init")
    nothing = operator.say("step", "get", "step_7zzz")
    assert nothing.code == 30
    assert "There is no step whose id begins with step_7zzz" in nothing.err
    newcomer.ask("init")
    assert "There is no run yet in this repository." in newcomer.say("run", "get", "latest").err


def test_another_repository_s_ids_are_not_meant(newcomer: Operator) -> None:
    newcomer.ask(*WORDS)
    other = Operator(home=newcomer.home, repository=repository_make(newcomer.repository.parent / "other"))
    other.ask("init")
    step_id = newcomer.ask("step", "get", "latest")["step_id"]
    assert other.say("step", "get", "latest").code == 30
    assert other.say("step", "get", step_id[:-1]).code == 30
    assert newcomer.ask("step", "get", step_id[:-1])["step_id"] == step_id


def test_a_step_is_added_to_the_latest_run_and_to_one_by_how_its_id_begins(operator: Operator) -> None:
    run_id = operator.ask("run", "create", "several steps")["run"]["run_id"]
    for word in ("latest", run_id[:-1]):
        assert operator.ask(*WORDS, "--run", word)["run_id"] == run_id


@pytest.mark.parametrize("noun", [ids.IdPrefix.RUN, ids.IdPrefix.GATE])
def test_another_noun_s_id_is_refused_as_such(operator: Operator, noun: ids.IdPrefix) -> None:
    operator.ask("init")
    said = operator.say("step", "get", ids.new_id(noun))
    assert said.code == 30
    assert "here a step is meant" in said.err
