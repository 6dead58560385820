"""Options of `ropeway submit` that say how work is done: they reach the worktree, the checks and the record."""

from pathlib import Path

import pytest

from tests.integration.daemon.machine import git
from tests.integration.daemon.shell import Operator

WORDS = ("submit", "--goal", "g", "--executor", "fake-success", "--wait")


def test_every_check_must_pass(operator: Operator) -> None:
    passed = operator.ask(*WORDS, "--check", "test -f fake-success.txt", "--check", "true")
    assert [check["verdict"] for check in passed["validations"]] == ["passed", "passed"]
    failed = operator.say(*WORDS, "--check", "true", "--check", "exit 3")
    assert failed.code == 21
    assert "check check-2: failed" in failed.out


def test_work_begins_at_the_base_that_was_named(operator: Operator) -> None:
    root = git(operator.repository, "rev-parse", "HEAD").strip()
    git(operator.repository, "tag", "here")
    git(operator.repository, "commit", "--quiet", "--allow-empty", "--message", "later")
    assert operator.ask(*WORDS, "--base", "here")["base_commit"] == root
    nowhere = operator.say(*WORDS, "--base", "nowhere")
    assert nowhere.code != 0
    assert "nowhere" in nowhere.out


@pytest.fixture
def silent(newcomer: Operator) -> Operator:
    """An operator whose executor never tells what it used."""
    newcomer.home.mkdir(mode=0o700)
    (newcomer.home / "daemon.toml").write_text(
        "[executors]\ndefault = 'silent'\n[templates.silent]\ncommand = ['/bin/true']\n"
    )
    return newcomer


def test_a_budget_that_will_not_hold_is_said_at_once_and_with_the_result(silent: Operator) -> None:
    words = ("submit", "--goal", "g", "--budget-usd", "1")
    warning = "the step's budget of dollars does not hold with silent"
    queued = silent.say(*words)
    assert (queued.code, f"  warning: {warning}" in queued.out) == (0, True), queued
    waited = silent.say(*words, "--wait")
    assert (waited.code, warning in waited.err, warning in waited.out) == (0, True, True), waited
    for more in ((), ("--wait",)):
        said = silent.say(*words, *more, "--json")
        assert [each.partition(":")[0] for each in said.document["warnings"]] == [warning]
        assert said.err == ""
    assert "warning" not in silent.say("submit", "--goal", "g", "--wait").out


def test_of_a_manifest_it_is_said_with_the_step(silent: Operator, tmp_path: Path) -> None:
    file = tmp_path / "manifest.yaml"
    file.write_text("objective: o\nbudget: {cost_usd: 1}\nsteps: [{name: one, task: {goal: g, executor: silent}}]\n")
    warning = "one: the run's budget of dollars does not hold with silent"
    assert f"  warning: {warning}" in silent.say("manifest", "submit", str(file)).out
    (warned,) = silent.ask("manifest", "submit", str(file))["warnings"]
    assert warned.partition(":")[0] == "one"


def test_budget_and_model_are_in_the_task_on_record(operator: Operator) -> None:
    step = operator.ask(*WORDS, "--budget-usd", "1.5", "--model", "m-1")
    task = operator.ask("step", "task", step["step_id"])["task"]
    assert (task["budget"]["cost_usd"], task["params"]) == (1.5, {"model": "m-1"})


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--budget-usd", "much"), "--budget-usd"),
        (("--budget-usd", "-1"), "budget.cost_usd"),
        (("--base", "HEAD~1"), "base"),
    ],
)
def test_a_value_that_is_none_is_said_before_anything_begins(
    newcomer: Operator, words: tuple[str, ...], named: str
) -> None:
    said = newcomer.say("submit", "--goal", "g", "--executor", "fake-success", *words)
    assert said.code == 30
    assert named in said.err
    assert not (newcomer.home / "daemon.json").exists()
