"""TaskSpec refuses what it does not understand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from local_daemon.protocol import limits, specs

MINIMAL = {"goal": "tidy up", "executor": "fake-success"}


def test_the_smallest_task_is_a_goal_and_an_executor() -> None:
    assert specs.TaskSpec.model_validate(MINIMAL).timeout_s == limits.STEP_TIMEOUT_S_DEFAULT


@pytest.mark.parametrize(
    "change",
    [
        {"forbiden_paths": ["a"]},
        {"version": "v2"},
        {"goal": ""},
        {"goal": "x\x00"},
        {"goal": "é" * limits.GOAL_BYTES},
        {"executor": "../codex"},
        {"executor": "codex; rm -rf /"},
        {"allowed_paths": ["/etc"]},
        {"allowed_paths": ["../up"]},
        {"allowed_paths": ["a/../../b"]},
        {"base": "--upload-pack=x"},
        {"base": "a..b"},
        {"patch": "diff"},
        {"executor": "patch"},
        {"timeout_s": 0},
        {"validations": [{"name": "t", "command": "x"}, {"name": "t", "command": "y"}]},
        {"validations": [{"name": "../t", "command": "x"}]},
        {"params": {"big": "x" * limits.GOAL_BYTES}},
    ],
)
def test_a_wrong_task_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        specs.TaskSpec.model_validate({**MINIMAL, **change})


@given(st.dictionaries(st.text(), st.one_of(st.none(), st.integers(), st.text()), max_size=4))
def test_a_task_survives_its_own_json(params: dict[str, object]) -> None:
    try:
        task = specs.TaskSpec.model_validate({**MINIMAL, "params": params})
    except ValidationError:
        return
    again = specs.TaskSpec.model_validate_json(task.model_dump_json())
    assert again == task
    assert again.digest() == task.digest()


def test_a_task_that_names_no_fallback_has_the_digest_it_had_before_there_was_one() -> None:
    task = specs.TaskSpec(goal="Add a greeting", executor="codex")
    # As homes on disk have it: what a gate was bound to and a manifest was named with must stay the same.
    assert task.digest() == "51934d21b94cf287c7295badc4a3521c6b1f64443615a17a74985bd78a331ab2"
    assert "fallback" not in task.model_dump_json()
    named = specs.RetryRule(max_attempts=2, fallback=(specs.Fallback(executor="claude"),))
    assert specs.RetryRule.model_validate_json(named.model_dump_json()) == named


def test_a_retry_falls_back_only_as_often_as_it_may_be_tried() -> None:
    fallback = [{"executor": "claude"}, {"executor": "qwen", "profile": "slow"}]
    task = {"goal": "g", "executor": "codex", "params": {"model": "m"}}
    with pytest.raises(ValidationError, match="more than retry.max_attempts"):
        specs.TaskSpec.model_validate({**task, "retry": {"max_attempts": 2, "fallback": fallback}})
    with pytest.raises(ValidationError, match="works on no goal"):
        specs.TaskSpec.model_validate({**task, "retry": {"max_attempts": 2, "fallback": [{"executor": "patch"}]}})
    fitting = specs.TaskSpec.model_validate({**task, "retry": {"max_attempts": 3, "fallback": fallback}})
    second = fitting.fallen_back(fitting.retry.fallback[1])
    assert (second.executor, second.profile, second.params, second.goal) == ("qwen", "slow", {}, "g")
    assert fitting.fallen_back(specs.Fallback(executor="codex", profile="other")).params == {"model": "m"}
