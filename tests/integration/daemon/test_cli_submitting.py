"""Options of `ropeway submit` that say how work is done: they reach the worktree, the checks and the record."""

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
