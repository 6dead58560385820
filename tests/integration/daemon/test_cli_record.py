"""What stands on record beside a step's result, as an operator reads it: task, attempts, checks, applications, events,
and the repository itself."""

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.integration.daemon import shell
from tests.integration.daemon.door import API
from tests.integration.daemon.machine import git, repository_make
from tests.integration.daemon.shell import Operator

TASK = {
    "goal": "write\tdown:\n  - yes",
    "executor": "fake-success",
    "params": {"files": {"a.txt": "1\n", "b.txt": "on"}},
    "validations": [{"name": "tests", "command": "true"}],
    "retry": {"max_attempts": 2},
}


@pytest.fixture(scope="module")
def done(operator: Operator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A step that has completed."""
    path = tmp_path_factory.mktemp("task") / "task.json"
    path.write_text(json.dumps(TASK))
    result: dict[str, Any] = operator.ask("submit", "--task", str(path), "--wait")
    return result


def test_a_task_is_printed_as_it_can_be_submitted_again(operator: Operator, done: dict[str, Any]) -> None:
    written = operator.say("step", "task", done["step_id"]).out
    assert yaml.safe_load(written) == TASK
    again = operator.ask("submit", "--task", "-", "--wait", stdin=written)
    first, second = (operator.ask("step", "task", step["step_id"]) for step in (done, again))
    assert first["digest"] == second["digest"]


def test_what_a_task_was_made_of_is_kept_beside_it(operator: Operator, done: dict[str, Any]) -> None:
    origin = operator.ask("step", "task", done["step_id"])["provenance"]
    assert (origin["source"], origin["form"], origin["name"]) == ("task", "json", "task.json")
    assert origin["text"] is None
    assert operator.say("step", "task", done["step_id"], "--as-submitted").out == json.dumps(TASK)


def test_what_the_repository_added_to_a_task_is_kept_beside_it(newcomer: Operator) -> None:
    words = newcomer.repository.parent / "words"
    words.write_text("# Why: so\ngoal: g\n")
    (newcomer.repository / ".ropeway").mkdir()
    (newcomer.repository / ".ropeway" / "repository.toml").write_text('[defaults]\nexecutor = "fake-success"\n')
    by_file = newcomer.ask("submit", "--task", str(words), "--run", "kept", "--name", "one")
    assert newcomer.ask("step", "task", by_file["step_id"])["provenance"]["defaults"] == [
        "executor fake-success, of .ropeway/repository.toml"
    ]
    assert newcomer.say("step", "task", by_file["step_id"], "--as-submitted").out == "# Why: so\ngoal: g\n"


def test_a_goal_is_what_was_handed_in_and_what_another_door_takes_is_nobodys_words(operator: Operator) -> None:
    said = operator.ask("submit", "--goal", "Say it.", "--executor", "fake-success")
    assert operator.ask("step", "task", said["step_id"])["provenance"]["source"] == "goal"
    assert operator.say("step", "task", said["step_id"], "--as-submitted").out == "Say it."
    run = operator.ask("run", "create", "o")["run"]
    door = json.loads((operator.home / "daemon.json").read_text())
    token = {"Authorization": f"Bearer {(operator.home / 'token').read_text().strip()}"}
    with httpx.Client(transport=httpx.HTTPTransport(uds=door["socket"]), headers=token) as http:
        place = f"{API}/repositories/{run['repository_id']}/runs/{run['run_id']}/steps"
        made = http.post(place, json={"task": {"goal": "g", "executor": "fake-success"}}).json()["step"]
    assert operator.ask("step", "task", made["step_id"])["provenance"] is None
    refused = operator.say("step", "task", made["step_id"], "--as-submitted")
    assert (refused.code != 0, "Nothing is kept" in refused.err) == (True, True)


def test_a_manifest_is_what_was_handed_in_for_each_of_its_steps(operator: Operator, tmp_path: Path) -> None:
    words = "objective: o\ndefaults: {executor: fake-success}\nsteps:\n- {name: a, task: {goal: g}}\n"
    (tmp_path / "plan.yaml").write_text(words)
    (step,) = operator.ask("manifest", "submit", str(tmp_path / "plan.yaml"))["steps"]
    origin = operator.ask("step", "task", step["step_id"])["provenance"]
    assert (origin["source"], origin["name"], origin["defaults"]) == ("manifest", "plan.yaml", [])
    assert operator.say("step", "task", step["step_id"], "--as-submitted").out == words


def test_a_manifest_says_nothing_of_what_it_is_made_of(operator: Operator) -> None:
    words = "objective: o\nprovenance: null\nsteps:\n- {name: a, task: {goal: g, executor: fake-success}}\n"
    refused = operator.say("manifest", "submit", "-", stdin=words)
    assert (refused.code, "provenance: " in refused.err) == (30, True)


def test_of_a_long_file_it_is_said_what_is_kept(operator: Operator) -> None:
    words = "goal: g\nexecutor: fake-success\n" + "# long\n" * 10_000
    step_id = operator.ask("submit", "--task", "-", stdin=words)["step_id"]
    refused = operator.say("step", "task", step_id, "--as-submitted")
    digest = hashlib.sha256(words.encode()).hexdigest()
    assert f"too long to be kept: it had {len(words)} bytes, with the SHA-256 {digest}" in refused.err


def test_what_was_handed_in_steers_no_terminal(operator: Operator) -> None:
    header = "diff --git a/red b/red\nnew file mode 100644\n--- /dev/null\n+++ b/red\n@@ -0,0 +1 @@\n"
    patch = f"{header}+\x1b[31m\tred\x1b]0;mine\x07\n"
    step_id = operator.ask("submit", "--patch", "-", stdin=patch)["step_id"]
    assert operator.say("step", "task", step_id, "--as-submitted").out == patch
    shown, _ = shell.at_terminal(operator, "step", "task", step_id, "--as-submitted")
    assert shown.splitlines()[5].split() == [r"+\x1b[31m", r"red\x1b]0;mine\x07"]


def test_attempts_say_how_each_ended(operator: Operator, done: dict[str, Any]) -> None:
    said = operator.say("step", "attempts", done["step_id"]).out.splitlines()
    assert said[0].startswith(f"1  {done['attempt_id']}  fake-success  recorded  exit code 0")
    assert said[1].strip() == f"kept at {done['ref']}"
    failed = operator.say("submit", "--goal", "g", "--executor", "fake-failure", "--wait", "--json").document
    assert "executor: " in operator.say("step", "attempts", failed["step_id"]).out


@pytest.fixture
def tried_twice(newcomer: Operator) -> tuple[Operator, str, list[str]]:
    """An operator, a step of theirs that was tried twice, and its attempts; each said which it was."""
    newcomer.home.mkdir(mode=0o700)
    (newcomer.home / "daemon.toml").write_text(
        "[executors]\ndefault = 'teller'\n"
        "[templates.teller]\ncommand = ['/bin/sh', '-c', 'echo this is $ROPEWAY_ATTEMPT_ID; exit 1']\n"
    )
    step_id = newcomer.say("submit", "--goal", "g", "--wait", "--json").document["step_id"]
    newcomer.ask("step", "retry", step_id)
    newcomer.say("step", "wait", step_id)
    return newcomer, step_id, [each["attempt_id"] for each in newcomer.ask("step", "attempts", step_id)["items"]]


def test_the_log_of_an_earlier_attempt_is_printed_by_its_number(tried_twice: tuple[Operator, str, list[str]]) -> None:
    operator, step_id, (first, second) = tried_twice
    assert operator.say("step", "log", step_id, "--attempt", "1").out == f"this is {first}\n"
    assert operator.say("step", "log", step_id).out == f"this is {second}\n"
    document = operator.ask("step", "log", step_id, "--attempt", "1")
    assert (document["attempt_id"], document["text"]) == (first, f"this is {first}\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--attempt", "3"), "There is no attempt 3 of this step; `ropeway step attempts` lists them."),
        (("--attempt", "0"), "--attempt"),
        (("--attempt", "1", "--follow"), "--follow goes without --attempt."),
    ],
    ids=" ".join,
)
def test_an_attempt_whose_log_can_not_be_had_is_said(
    operator: Operator, done: dict[str, Any], words: tuple[str, ...], said: str
) -> None:
    refused = operator.say("step", "log", done["step_id"], *words)
    assert (refused.code, said in refused.err) == (30, True), refused


def test_checks_say_their_verdict_and_where_their_output_is(operator: Operator, done: dict[str, Any]) -> None:
    said = operator.say("step", "checks", done["step_id"]).out
    assert re.match(r"tests: passed, exit code 0, \S+( s)?: true\n", said)
    assert operator.ask("step", "checks", done["step_id"])["items"] == done["validations"]


def test_applications_say_what_came_of_each(operator: Operator, done: dict[str, Any]) -> None:
    assert operator.say("step", "applications", done["step_id"]).out == "It was never to be applied yet.\n"
    operator.ask("apply", done["step_id"], "--mode", "export", "--branch", "out", "--digest", done["patch"]["sha256"])
    said = operator.say("step", "applications", done["step_id"]).out
    assert f"export onto out  applied at {git(operator.repository, 'rev-parse', 'out')[:12]}" in said


def test_a_repository_says_where_its_log_stands(operator: Operator, done: dict[str, Any]) -> None:
    found = operator.ask("repository", "get")
    assert found["head_commit"] == git(operator.repository, "rev-parse", "HEAD").strip()
    said = operator.say("repository", "get", found["repository_id"]).out
    assert f"{found['head_seq']} events in {found['log_id']}" in said


def test_the_newest_events_come_first_to_hand_and_those_after_one_in_order(
    operator: Operator, done: dict[str, Any]
) -> None:
    newest = operator.ask("events", "--limit", "3")
    assert [event["seq"] for event in newest["items"]] == list(range(newest["head_seq"] - 2, newest["head_seq"] + 1))
    oldest = operator.ask("events", "--after", "0", "--limit", "2")
    assert [event["seq"] for event in oldest["items"]] == [1, 2]
    *_, last = operator.say("events", "--after", "0", "--limit", "2").out.splitlines()
    assert last == "more of them: --after 2"


def test_events_are_followed_as_they_come(newcomer: Operator) -> None:
    newcomer.ask("init")
    following = subprocess.Popen(
        newcomer.argv("events", "--after", "0", "--follow"),
        cwd=newcomer.repository,
        env={**newcomer.env, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        step_id = newcomer.ask("submit", "--goal", "g", "--executor", "fake-success", "--wait")["step_id"]
        assert following.stdout is not None
        assert any(f"{step_id}  completed" in line for line in following.stdout)
    finally:
        following.kill()
        following.communicate(timeout=shell.ENDS_WITHIN_S)


def test_following_events_is_no_document(operator: Operator, done: dict[str, Any]) -> None:
    assert operator.say("events", "--follow", "--json").code == 30


def test_a_steps_name_answers_for_one_task_only(newcomer: Operator) -> None:
    newcomer.ask("run", "create", "o", "--name", "nightly")
    words = ("submit", "--wait", "--run", "nightly", "--name", "one", "--executor", "fake-success", "--goal", "a")
    first = newcomer.ask(*words)
    assert newcomer.ask(*words)["step_id"] == first["step_id"]
    refused = newcomer.say(*words[:-3], "fake-failure", "--goal", "another", "--json")
    assert refused.code != 0
    assert refused.document["error"]["code"] == "idempotency_conflict"


def test_a_run_is_created_once_by_its_name_and_takes_steps(newcomer: Operator, tmp_path: Path) -> None:
    words = ("run", "create", "tidy up", "--name", "tidy")
    first, again = newcomer.ask(*words), newcomer.ask(*words)
    assert (first["created"], again["created"]) == (True, False)
    assert first["run"]["run_id"] == again["run"]["run_id"]
    step = newcomer.ask("submit", "--goal", "g", "--executor", "fake-success", "--run", "tidy", "--wait")
    assert step["run_id"] == first["run"]["run_id"]
    refused = newcomer.say("run", "create", "tidy up", "--budget-usd", "-1")
    assert refused.code == 30
    assert "budget.cost_usd" in refused.err


def test_where_a_repository_lies_is_told_at_the_machine_and_in_no_answer_of_the_daemon(
    newcomer: Operator, tmp_path: Path
) -> None:
    folder = repository_make(tmp_path / "a place" / "r")
    known = newcomer.ask("repository", "add", str(folder))["repository_id"]
    assert f"{known}  r  {folder}\n" in newcomer.say("repository", "list").out
    assert f"  at {folder}\n" in newcomer.say("repository", "get", known).out
    assert str(tmp_path) not in newcomer.say("repository", "list", "--json").out
    assert str(tmp_path) not in newcomer.say("repository", "get", known, "--json").out
    newcomer.ask("repository", "forget", known)
    assert "  at " not in newcomer.say("repository", "get", known).out


@pytest.mark.parametrize("words", [("gate", "list"), ("conversation", "list"), ("run", "list"), ("repository", "list")])
def test_every_list_takes_a_limit_and_refuses_another_s_cursor(operator: Operator, words: tuple[str, ...]) -> None:
    operator.ask("init")
    assert len(operator.ask(*words, "--limit", "1")["items"]) <= 1
    assert operator.say(*words, "--cursor", "nonsense").code == 30
