"""What work used, as an operator reads it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon.shell import Operator

USED = {"input_tokens": 1200, "cached_input_tokens": 200, "output_tokens": 34, "cost_usd": 0.25, "model": "m-1"}


def worked(operator: Operator, folder: Path, **task: Any) -> dict[str, Any]:
    path = folder / "task.json"
    path.write_text(json.dumps({"goal": "g", "executor": "fake-success", **task}))
    result: dict[str, Any] = operator.ask("submit", "--task", str(path), "--wait")
    return result


def test_of_a_step_it_says_tokens_cost_and_time_by_executor_and_model(operator: Operator, tmp_path: Path) -> None:
    step = worked(operator, tmp_path, params={"usage": USED})
    (by,) = operator.ask("usage", "--step", step["step_id"])["by"]
    assert {name: by["spent"].get(name) for name in USED} | {"model": by["model"]} == USED
    said = operator.say("usage", "--step", step["step_id"]).out.splitlines()
    assert said[0] == step["step_id"]
    assert said[1].split("  ")[1:2] == ["executor"]
    assert said[2].split()[:3] == ["fake-success", "m-1", "1"]
    assert said[2].split()[-4:] == ["1,200", "200", "34", "$0.2500"]


def test_of_a_run_it_says_the_budget_and_what_of_it_is_used_up(operator: Operator, tmp_path: Path) -> None:
    run_id = operator.ask("run", "create", "cheap work", "--name", "cheap", "--budget-usd", "0.20")["run"]["run_id"]
    path = tmp_path / "task.json"
    path.write_text(json.dumps({"goal": "g", "executor": "fake-success", "params": {"usage": USED}}))
    operator.say("submit", "--task", str(path), "--run", run_id, "--wait")
    document = operator.ask("usage", "--run", run_id)
    assert document["budget"]["cost_usd"] == 0.2
    said = operator.say("usage", "--run", run_id).out
    assert "budget: $0.20; used up: " in said


def test_of_the_repository_it_says_what_is_unknown_and_the_sum_of_all(operator: Operator, tmp_path: Path) -> None:
    worked(operator, tmp_path, params={"usage": USED})
    worked(operator, tmp_path)
    said = operator.say("usage", "--days", "2").out
    assert said.startswith("since ")
    assert said.splitlines()[-2].split()[0] == "all"
    assert "told no tokens" in said.splitlines()[-1]


def test_by_day_each_day_is_a_line(operator: Operator, tmp_path: Path) -> None:
    worked(operator, tmp_path, params={"usage": USED})
    document = operator.ask("usage", "--by", "day")
    assert [on["spent"]["output_tokens"] for on in document["by_day"]][-1] >= 34
    heading, first, *_ = operator.say("usage", "--by", "day").out.splitlines()[1:]
    assert heading.split()[:2] == ["day", "attempts"]
    assert first.split()[0] == document["by_day"][0]["day"]
    run = operator.ask("usage", "--by", "day", "--run", "latest")
    assert [on["spent"]["output_tokens"] for on in run["by_day"]] == [34]


def test_where_nothing_was_used_it_says_so(newcomer: Operator) -> None:
    newcomer.ask("init")
    for words in ((), ("--by", "day")):
        assert "nothing was used" in newcomer.say("usage", *words).out


@pytest.mark.parametrize("words", [("--run", "a", "--days", "1"), ("--days", "32"), ("--run", "nothing")])
def test_what_can_not_be_asked_is_said(operator: Operator, words: tuple[str, ...]) -> None:
    operator.ask("init")
    assert operator.say("usage", *words).code == 30
