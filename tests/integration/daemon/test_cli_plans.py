"""Manifests, applying and conversations from the command line, against a daemon that it started."""

from pathlib import Path

import pytest

from tests.integration.daemon.machine import git
from tests.integration.daemon.shell import Operator
from tests.integration.daemon.test_first_minutes import on_path

MANIFEST = """\
objective: Two files.
defaults: {executor: fake-success, timeout_s: 60}
steps:
  - name: one
    task: {goal: one, params: {files: {one.txt: one}}}
  - name: two
    task: {goal: two, params: {files: {two.txt: two}}}
    depends_on: [one]
    builds_on: one
"""


def test_a_manifest_is_submitted_shown_and_its_result_applied(operator: Operator) -> None:
    file = operator.home.parent / "manifest.yaml"
    file.write_text(MANIFEST)
    made = operator.ask("manifest", "submit", str(file))
    first, second = (step["step_id"] for step in made["steps"])
    assert operator.say("step", "wait", second).code == 0
    shown = operator.ask("manifest", "show", made["run"]["run_id"])
    assert (shown["run"]["state"], [step["state"] for step in shown["steps"]]) == ("completed", ["completed"] * 2)
    digest = operator.ask("step", "result", first)["patch"]["sha256"]
    applied = operator.ask("apply", first, "--digest", digest, "--mode", "merge")
    assert applied["application"]["state"] == "applied"
    assert git(operator.repository, "show", "main:one.txt") == "one"
    assert operator.say("apply", first, "--digest", "0" * 64).code == 30


def test_a_manifests_task_that_names_nobody_goes_to_the_repositorys_choice(newcomer: Operator) -> None:
    newcomer.ask("init", "--executor", "fake-success")
    made = newcomer.ask("manifest", "submit", "-", stdin=MANIFEST.replace("executor: fake-success, ", ""))
    tasks = [newcomer.ask("step", "task", step["step_id"])["task"] for step in made["steps"]]
    assert [task["executor"] for task in tasks] == ["fake-success"] * 2


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (MANIFEST.replace("executor: fake-success, ", ""), "`executor` in the file's `defaults`"),
        ("objective: o\nsteps: 5\n", "steps"),
        ("objective: o\nobjective: p\n", "<stdin>: not valid YAML"),
        ("- objective\n", "<stdin>: must be a mapping"),
    ],
)
def test_a_manifest_that_is_none_is_said_before_anything_is_started(
    newcomer: Operator, tmp_path: Path, manifest: str, said: str
) -> None:
    on_path(newcomer, tmp_path / "bin", "codex", "claude")
    refused = newcomer.say("manifest", "submit", "-", stdin=manifest)
    assert refused.code == 30
    assert said in refused.err
    assert not newcomer.home.exists()


def test_a_manifest_that_can_never_end_is_refused_whole(operator: Operator) -> None:
    file = operator.home.parent / "circle.yaml"
    file.write_text(MANIFEST.replace("  - name: one\n", "  - name: one\n    depends_on: [two]\n"))
    refused = operator.say("manifest", "submit", str(file))
    assert refused.code == 30
    assert "wait for each other" in refused.err


def test_a_conversation_is_held_and_a_turn_undone(operator: Operator) -> None:
    begun = operator.ask("conversation", "begin", "--executor", "fake-success")
    said = operator.ask("conversation", "say", begun["conversation_id"], "hello")
    assert operator.say("step", "wait", said["turns"][0]["step_id"]).code == 0
    undone = operator.ask("conversation", "undo", begun["conversation_id"])
    assert undone["turns"][0]["is_undone"]
    assert operator.ask("conversation", "close", begun["conversation_id"])["state"] == "closed"
    assert operator.ask("conversation", "list")["items"][0]["conversation_id"] == begun["conversation_id"]


def test_a_turn_can_be_waited_for_and_ends_as_its_step_does(operator: Operator) -> None:
    talks = {who: operator.ask("conversation", "begin", "--executor", who) for who in ("fake-success", "fake-failure")}
    ended = {who: operator.say("conversation", "say", talk["conversation_id"], "hello", "--wait")
             for who, talk in talks.items()}  # fmt: skip
    assert {who: said.code for who, said in ended.items()} == {"fake-success": 0, "fake-failure": 20}
    assert "is completed" in ended["fake-success"].out
    refused = operator.say("conversation", "say", talks["fake-success"]["conversation_id"], "hello", "--timeout", "1")
    assert (refused.code, "--wait" in refused.err) == (30, True)
