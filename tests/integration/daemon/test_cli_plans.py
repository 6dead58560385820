"""Manifests, applying and conversations from the command line, against a daemon that it started."""

from tests.integration.daemon.machine import git
from tests.integration.daemon.shell import Operator

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
