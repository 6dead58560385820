import io
from pathlib import Path
from typing import Any

import pytest

from local_daemon.cli import tasks
from local_daemon.config import home as homes
from local_daemon.protocol import errors, origins, specs


def read(tmp_path: Path, *, file: str | None = None, **said: Any) -> specs.TaskSpec:
    """The task of what was said, in a repository that has no file of its own."""
    return told(tmp_path, file=file, **said)[0]


def told(tmp_path: Path, *, file: str | None = None, **said: Any) -> tuple[specs.TaskSpec, origins.Provenance]:
    """As `read`, and what it was made of."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("goal", "task_file", "patch_file", "executor", "profile", "model", "base", "budget_usd")
    )
    given = {**nothing, "checks": (), **said}
    if file is not None:
        given["task_file"] = io.BytesIO(file.encode())
    return tasks.task_read(homes.Home(root=tmp_path / "home"), tmp_path, **given)


@pytest.mark.parametrize(
    ("said", "added"),
    [
        ({"goal": "g", "executor": "codex"}, ("executor codex, of --executor",)),
        ({"patch_file": io.BytesIO(b"diff")}, ("goal, of --patch", "executor patch, of --patch")),
        (
            {"patch_file": io.BytesIO(b"diff"), "goal": "g", "executor": "patch"},
            ("goal, of --goal", "executor patch, of --executor"),
        ),
        (
            {"file": "goal: g", "executor": "codex", "profile": "p", "base": "b", "checks": ("true", "a\nb")},
            (
                "executor codex, of --executor",
                "profile p, of --profile",
                "base b, of --base",
                "validations, of --check",
            ),
        ),
        (
            {"file": "goal: g\nexecutor: codex", "budget_usd": 1.5, "model": "m"},
            ("budget.cost_usd 1.5, of --budget-usd", "params.model m, of --model"),
        ),
    ],
)
def test_what_was_not_handed_in_is_told_with_who_said_it(
    tmp_path: Path, said: dict[str, Any], added: tuple[str, ...]
) -> None:
    assert told(tmp_path, **said)[1].defaults == added


def test_the_mark_in_front_of_a_file_is_handed_in_and_none_of_the_task(tmp_path: Path) -> None:
    task, origin = told(tmp_path, file='\ufeff{"goal": "g", "executor": "codex"}')
    assert (task.goal, origin.form, origin.size_bytes) == ("g", origins.Form.JSON, 37)
    assert origin.text == '\ufeff{"goal": "g", "executor": "codex"}'
    task, origin = told(tmp_path, patch_file=io.BytesIO("\ufeffdiff".encode()))
    assert (task.patch, origin.text) == ("diff", "\ufeffdiff")


def test_checks_are_validations_in_the_order_they_were_said(tmp_path: Path) -> None:
    task = read(tmp_path, goal="g", executor="fake-success", checks=("make test", "make lint"))
    assert [(check.name, check.command) for check in task.validations] == [
        ("check-1", "make test"),
        ("check-2", "make lint"),
    ]


def test_base_budget_and_model_stand_where_a_task_has_them(tmp_path: Path) -> None:
    task = read(tmp_path, goal="g", executor="codex", base="release/1", budget_usd=2.5, model="m-1")
    assert (task.base, task.budget.cost_usd, task.params) == ("release/1", 2.5, {"model": "m-1"})


def test_an_option_says_what_a_task_file_does_not_say_itself(tmp_path: Path) -> None:
    file = "goal: g\nexecutor: codex\nparams: {depth: 2}\nbudget: {duration_s: 9}\nvalidations: []\nbase: null\n"
    task = read(tmp_path, file=file, base="main", checks=("true",), budget_usd=1.0, model="m-1")
    assert (task.base, len(task.validations)) == ("main", 1)
    assert task.params == {"depth": 2, "model": "m-1"}
    assert (task.budget.duration_s, task.budget.cost_usd) == (9, 1.0)


@pytest.mark.parametrize(
    ("file", "said", "complaint"),
    [
        ("base: main", {"base": "other"}, "--base: the task file has its own `base`"),
        (
            "validations: [{name: a, command: b}]",
            {"checks": ("c",)},
            "--check: the task file has its own `validations`",
        ),
        ("budget: {cost_usd: 1}", {"budget_usd": 2.0}, "--budget-usd: the task file has its own `budget.cost_usd`"),
        ("params: {model: a}", {"model": "b"}, "--model: the task file has its own `params.model`"),
    ],
)
def test_what_is_said_twice_is_refused_rather_than_guessed(
    tmp_path: Path, file: str, said: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(errors.InvalidRequest) as refused:
        read(tmp_path, file=f"goal: g\nexecutor: codex\n{file}\n", **said)
    assert complaint in refused.value.detail


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"base": "HEAD~1"}, "base"),
        ({"base": "--force"}, "base"),
        ({"budget_usd": 0.0}, "budget.cost_usd"),
        ({"budget_usd": float("nan")}, "budget.cost_usd"),
        ({"budget_usd": 2e6}, "budget.cost_usd"),
        ({"checks": ("true", "")}, "validations.1.command"),
        ({"checks": ("true",) * 101}, "validations"),
    ],
)
def test_a_value_that_a_task_can_not_have_is_named(tmp_path: Path, said: dict[str, Any], field: str) -> None:
    with pytest.raises(errors.InvalidRequest) as refused:
        read(tmp_path, goal="g", executor="codex", **said)
    assert [item["field"] for item in refused.value.attributes["errors"]] == [field]


def test_a_patch_has_no_model_and_a_model_has_a_name(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidRequest, match="no model"):
        read(tmp_path, patch_file=io.BytesIO(b"diff"), model="m-1")
    with pytest.raises(errors.InvalidRequest, match="a model's name"):
        read(tmp_path, goal="g", executor="codex", model=" ")


def test_a_patch_keeps_its_line_ends_and_a_file_loses_the_mark_in_front(tmp_path: Path) -> None:
    patch = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\r\n+new\r\n"
    assert read(tmp_path, patch_file=io.BytesIO(patch.encode())).patch == patch
    assert read(tmp_path, file="\ufeffgoal: g\r\nexecutor: codex\r\n").goal == "g"


def test_a_name_that_is_misspelt_is_said_before_that_nobody_was_chosen(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidRequest) as refused:
        read(tmp_path, file="goal: g\nexecuter: codex\n")
    assert [item["field"] for item in refused.value.attributes["errors"]] == ["executer"]


def test_what_is_wrong_with_a_file_is_said_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidRequest) as refused:
        read(tmp_path, file="goal: g\nexecutor: codex\nparams: [a]\n", model="m-1")
    assert [item["field"] for item in refused.value.attributes["errors"]] == ["params"]
