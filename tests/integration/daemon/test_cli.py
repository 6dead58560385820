"""`ropeway` as an operator uses it: real commands, a real daemon, documents and exit codes."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

from local_daemon.cli import main
from tests.integration.daemon import shell
from tests.integration.daemon.machine import PATCH, git
from tests.integration.daemon.shell import Operator, at_terminal
from tests.integration.warmed import Warmed

# -- the first minute


def test_each_command_imports_what_it_needs_itself(newcomer: Operator) -> None:
    """Where nothing of ours is imported yet, as everything is where the other tests run one."""
    with Warmed("click", "pydantic", env=newcomer.env, cwd=shell.CHECKOUT) as warmed:
        for name in main.cli.list_commands(click.Context(main.cli)):
            said = warmed.run("local_daemon.cli", name, "--help")
            assert (said.returncode, said.stderr) == (0, ""), name
            assert said.stdout.startswith(f"Usage: ropeway {name} ")


def test_one_command_does_it_all_where_nothing_was_started(newcomer: Operator) -> None:
    result = newcomer.ask("submit", "--patch", "-", "--wait", stdin=PATCH)
    assert result["state"] == "completed"
    assert [change["path"] for change in result["changes"]] == ["file-0.txt"]
    assert "another line" in git(newcomer.repository, "show", f"{result['ref']}:file-0.txt")
    assert (newcomer.repository / "file-0.txt").read_text() == "line 0\n"


def test_the_started_daemon_outlives_the_command_and_is_used_again(newcomer: Operator) -> None:
    newcomer.ask("init")
    pid = newcomer.daemon_pid()
    newcomer.ask("submit", "--goal", "g", "--executor", "fake-success", "--wait")
    assert newcomer.daemon_pid() == pid


def test_commands_that_start_a_daemon_at_once_get_the_same_one(newcomer: Operator) -> None:
    words = ("submit", "--goal", "g", "--executor", "fake-success", "--wait", "--json")
    started = [
        subprocess.Popen(
            newcomer.argv(*words), cwd=newcomer.repository, env=newcomer.env, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    results = [json.loads(process.communicate(timeout=shell.ENDS_WITHIN_S)[0]) for process in started]
    assert [result["state"] for result in results] == ["completed"] * 4
    assert len(newcomer.ask("run", "list")["items"]) == 4


def test_after_a_crash_the_next_submission_starts_the_daemon_again(newcomer: Operator) -> None:
    newcomer.ask("init")
    first = newcomer.daemon_pid()
    newcomer.daemon_kill()
    newcomer.ask("submit", "--goal", "g", "--executor", "fake-success", "--wait")
    assert newcomer.daemon_pid() != first


def test_a_repository_can_not_smuggle_modules_into_the_daemon(newcomer: Operator) -> None:
    for name in ("click", "uvicorn", "json", "local_daemon"):
        (newcomer.repository / f"{name}.py").write_text("open('smuggled', 'w').close()\n")
    newcomer.ask("submit", "--goal", "g", "--executor", "fake-success", "--wait")
    assert not list(newcomer.repository.rglob("smuggled"))


@pytest.mark.parametrize("words", [("init",), ("submit", "--goal", "g", "--executor", "fake-success")])
@pytest.mark.parametrize(
    ("file", "content", "wrong"),
    [
        ("daemon.toml", "[concurency]\n", "concurency"),
        ("daemon.toml", "[profiles.mine]\nexecutor = 'nobody'\n", "nobody"),
        ("environment", "no variable\n", "line 1"),
    ],
)
def test_settings_that_no_daemon_starts_with_are_said_by_whoever_starts_it(
    newcomer: Operator, words: tuple[str, ...], file: str, content: str, wrong: str
) -> None:
    newcomer.home.mkdir(mode=0o700)
    (newcomer.home / file).write_text(content)
    said = newcomer.say(*words)
    assert said.code == 30
    assert file in said.err and wrong in said.err


def test_a_daemon_that_cannot_start_is_said_with_the_place_of_its_log(newcomer: Operator) -> None:
    newcomer.home.mkdir(mode=0o700)
    (newcomer.home / "record.sqlite3").write_text("no database")
    said = newcomer.say("submit", "--goal", "g", "--executor", "fake-success")
    assert said.code == 41
    assert "daemon.log" in said.err
    assert (newcomer.home / "daemon.log").read_text()


@pytest.mark.parametrize("words", [("status",), ("run", "list"), ("step", "get", "step_01j00000000000000000000000")])
def test_what_only_reads_starts_nothing(newcomer: Operator, words: tuple[str, ...]) -> None:
    said = newcomer.say(*words)
    assert said.code == 41
    assert "ropeway daemon" in said.err
    assert not (newcomer.home / "daemon.json").exists()


# -- submitting


@pytest.mark.parametrize(
    ("executor", "code"), [("fake-success", 0), ("fake-failure", 20), ("fake-blocker", 10)], ids=str
)
def test_the_exit_code_says_how_the_step_ended(operator: Operator, executor: str, code: int) -> None:
    assert operator.say("submit", "--goal", "g", "--executor", executor, "--wait").code == code


def test_a_failed_check_has_an_exit_code_of_its_own(operator: Operator, tmp_path: Path) -> None:
    task = {"goal": "g", "executor": "fake-success", "validations": [{"name": "no", "command": "exit 3"}]}
    (tmp_path / "task.json").write_text(json.dumps(task))
    said = operator.say("submit", "--task", str(tmp_path / "task.json"), "--wait", "--json")
    assert said.code == 21
    assert said.document["validations"][0]["exit_code"] == 3


def test_a_task_may_be_yaml_from_standard_input(operator: Operator) -> None:
    result = operator.ask(
        "submit",
        "--task",
        "-",
        "--wait",
        stdin="goal: write\nexecutor: fake-success\nparams:\n  files: {a/b.txt: hi}\n",
    )
    assert [change["path"] for change in result["changes"]] == ["a/b.txt"]


def test_a_timed_out_step_and_a_wait_that_is_over_first_differ(operator: Operator, tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text("goal: g\nexecutor: fake-timeout\ntimeout_s: 1\n")
    assert operator.say("submit", "--task", str(tmp_path / "task.yaml"), "--wait").code == 24
    (tmp_path / "task.yaml").write_text("goal: g\nexecutor: fake-timeout\ntimeout_s: 60\n")
    said = operator.say("submit", "--task", str(tmp_path / "task.yaml"), "--wait", "--timeout", "0.3")
    assert said.code == 27
    assert operator.say("step", "cancel", "latest").code == 0
    waiting = operator.say("submit", "--task", str(tmp_path / "task.yaml"), "--wait", "--timeout", "0.3", "--json")
    assert waiting.code == 27
    assert operator.say("step", "cancel", waiting.document["step_id"]).code == 0
    assert operator.say("step", "wait", waiting.document["step_id"]).code == 25


def test_who_cancels_work_is_told_that_it_is_being_ended_and_where_its_end_is_seen(
    newcomer: Operator, tmp_path: Path
) -> None:
    newcomer.home.mkdir(mode=0o700)
    (newcomer.home / "daemon.toml").write_text(f"[templates.reads]\ncommand = ['/bin/cat', '{tmp_path / 'pipe'}']\n")
    os.mkfifo(tmp_path / "pipe")
    step = newcomer.ask("submit", "--goal", "g", "--executor", "reads")
    with open(tmp_path / "pipe", "w"):  # It can be opened once the executor is there to read it.
        said = newcomer.say("step", "cancel", step["step_id"])
        assert (said.code, "is running" in said.out) == (0, False)
        assert "asked to end" in said.out
        assert said.out.rstrip().endswith(f"ropeway step wait {step['step_id']}")
        assert newcomer.say("step", "wait", step["step_id"]).code == 25
    assert newcomer.say("step", "cancel", step["step_id"]).out == f"{step['step_id']} is cancelled\n"


def test_who_cancels_a_run_at_work_is_told_where_its_end_is_seen(newcomer: Operator, tmp_path: Path) -> None:
    newcomer.home.mkdir(mode=0o700)
    (newcomer.home / "daemon.toml").write_text(f"[templates.reads]\ncommand = ['/bin/cat', '{tmp_path / 'pipe'}']\n")
    os.mkfifo(tmp_path / "pipe")
    step = newcomer.ask("submit", "--goal", "g", "--executor", "reads")
    with open(tmp_path / "pipe", "w"):
        said = newcomer.say("run", "cancel", step["run_id"])
        assert said.out.rstrip().endswith(f"ropeway watch {step['run_id']}")
        newcomer.say("watch", step["run_id"])
    assert "Asked to end" not in newcomer.say("run", "cancel", step["run_id"]).out


def test_progress_goes_to_standard_error_a_line_a_change(operator: Operator) -> None:
    said = operator.say("submit", "--goal", "g", "--executor", "fake-success", "--wait")
    changes = [line for line in said.err.splitlines() if line.startswith("step_")]
    assert changes[-1].endswith(": completed")
    assert changes == list(dict.fromkeys(changes))
    assert "fake-success.txt" in said.out


@pytest.fixture
def talker(newcomer: Operator) -> Operator:
    """An operator whose executor says something on both its streams, and ends in the middle of a line."""
    newcomer.home.mkdir(mode=0o700)
    says = r"""printf '\173"type":"assistant","text":"I look"\175\n'; echo careful >&2; printf 'one\n\033[31mtwo'"""
    (newcomer.home / "daemon.toml").write_text(
        f"[executors]\ndefault = 'talker'\n[templates.talker]\ncommand = ['/bin/sh', '-c', {json.dumps(says)}]\n"
    )
    return newcomer


def test_without_a_terminal_each_line_of_the_output_is_told_before_the_end(talker: Operator) -> None:
    said = talker.say("submit", "--goal", "g", "--wait")
    told = said.err.splitlines()
    assert {"  | assistant  I look", "  | careful", "  | one", "  | two"} <= set(told)
    assert told[-1].endswith(": completed")
    assert "|" not in said.out
    assert "\x1b" not in said.err + said.out


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_who_wants_it_quiet_is_told_only_how_it_ended(talker: Operator, option: str) -> None:
    said = talker.say("submit", "--goal", "g", "--wait", option)
    assert (said.code, said.err) == (0, "")
    assert "completed" in said.out


def test_who_waits_for_a_step_that_has_settled_is_told_only_that(talker: Operator) -> None:
    step_id = talker.ask("submit", "--goal", "g", "--wait")["step_id"]
    said = talker.say("step", "wait", step_id)
    assert (said.err, said.out) == ("", f"{step_id} is completed\n")


def test_a_run_by_name_takes_several_steps_until_it_is_closed(operator: Operator) -> None:
    for _ in range(2):
        operator.ask("submit", "--goal", "g", "--executor", "fake-success", "--run", "nightly", "--wait")
    run_id = next(run["run_id"] for run in operator.ask("run", "list")["items"] if run["name"] == "nightly")
    assert len(operator.ask("run", "get", run_id)["steps"]) == 2
    assert operator.ask("run", "close", run_id)["state"] == "completed"
    again = operator.say("submit", "--goal", "g", "--executor", "fake-success", "--run", run_id, "--json")
    assert (again.code, again.document["error"]["code"]) == (30, "invalid_transition")


def test_a_step_by_name_is_submitted_once(operator: Operator) -> None:
    words = ("submit", "--goal", "g", "--executor", "fake-success", "--run", "once", "--name", "first")
    assert operator.ask(*words)["step_id"] == operator.ask(*words)["step_id"]


def test_a_refused_step_leaves_no_run_behind(operator: Operator) -> None:
    operator.ask("submit", "--goal", "g", "--executor", "fake-success")
    before = operator.ask("run", "list")["items"]
    said = operator.say("submit", "--goal", "g", "--executor", "nobody", "--json")
    assert (said.code, said.document["error"]["code"]) == (30, "invalid_request")
    assert said.document["error"]["detail"].startswith("executor: this machine has no nobody; it has ")
    assert [run["run_id"] for run in operator.ask("run", "list")["items"]] == [run["run_id"] for run in before]


def test_a_name_whose_first_step_was_refused_takes_the_step_that_was_put_right(operator: Operator) -> None:
    words = ("submit", "--goal", "g", "--run", "put-right")
    assert operator.say(*words, "--executor", "nobody").code == 30
    run_id = operator.ask(*words, "--executor", "fake-success")["run_id"]
    assert operator.ask("run", "get", run_id)["name"] == "put-right"


def test_a_step_of_its_own_is_called_as_it_was_named_in_a_run_that_takes_no_other(operator: Operator) -> None:
    step = operator.ask("submit", "--goal", "g", "--executor", "fake-success", "--name", "mine", "--wait")
    assert operator.ask("step", "get", step["step_id"])["name"] == "mine"
    run = operator.ask("run", "get", step["run_id"])
    assert (run["objective"], run["state"], run["is_closed"]) == ("g", "completed", True)


@pytest.mark.parametrize(
    ("words", "stdin", "named"),
    [
        ((), "", "--goal"),
        (("--goal", "g"), "", "executor"),
        (("--goal", "g", "--task", "-"), "goal: g", "--task"),
        (("--task", "-"), "goal: [", "not valid YAML"),
        (("--task", "-"), "- a", "mapping"),
        (("--task", "-"), "goal: g\nexecutor: fake-success\nforbiden_paths: [a]", "forbiden_paths"),
        (("--patch", "/nowhere"), "", "/nowhere"),
        (("--goal", "g", "--executor", "fake-success", "--run", "a/b"), "", "name"),
        (("--goal", "g", "--executor", "fake-success", "--repository", "/nowhere"), "", "path"),
        (("--nonsense",), "", "--nonsense"),
    ],
)
def test_wrong_input_is_named_and_exits_with_30(
    operator: Operator, words: tuple[str, ...], stdin: str, named: str
) -> None:
    said = operator.say("submit", *words, stdin=stdin)
    assert said.code == 30, said
    assert named in said.err
    assert "Traceback" not in said.err


def test_with_json_a_failure_is_one_document_too(operator: Operator) -> None:
    assert operator.say("step", "get", "../etc/passwd", "--json").document["error"]["code"] == "invalid_request"
    unknown = operator.say("step", "get", "step_01j00000000000000000000000", "--json")
    assert (unknown.code, unknown.document["error"]["code"]) == (30, "not_found")
    assert operator.say("step", "get", "--json").document["error"]["detail"]


# -- gates


@pytest.fixture
def waiting(operator: Operator) -> dict[str, Any]:
    """A step whose changes wait for approval."""
    task = "goal: g\nexecutor: fake-success\ngates: {after: always}\n"
    said = operator.say("submit", "--task", "-", "--wait", "--json", stdin=task)
    assert said.code == 10
    return dict(said.document)


def test_a_gate_is_shown_with_what_it_is_about(operator: Operator, waiting: dict[str, Any]) -> None:
    said = operator.say("gate", "show", waiting["gate_id"])
    assert "fake-success.txt" in said.out
    assert waiting["patch"]["sha256"] in said.out
    assert f"ropeway gate approve {waiting['gate_id']}" in said.out
    assert waiting["gate_id"] in operator.say("gate", "list").out


def test_approving_names_the_digest(operator: Operator, waiting: dict[str, Any]) -> None:
    digest = operator.ask("gate", "show", waiting["gate_id"])["digest"]
    answer = operator.ask("gate", "approve", waiting["gate_id"], "--digest", digest, "--comment", "good")
    assert (answer["gate"]["state"], answer["gate"]["comment"]) == ("approved", "good")
    assert operator.say("step", "wait", waiting["step_id"]).code == 0


def test_approving_something_else_is_refused_and_the_gate_stays_open(
    operator: Operator, waiting: dict[str, Any]
) -> None:
    said = operator.say("gate", "approve", waiting["gate_id"], "--digest", "0" * 64, "--json")
    assert (said.code, said.document["error"]["code"]) == (30, "stale_approval")
    assert operator.ask("gate", "show", waiting["gate_id"])["state"] == "open"


def test_without_a_digest_and_without_a_terminal_nothing_is_approved(
    operator: Operator, waiting: dict[str, Any]
) -> None:
    assert operator.say("gate", "approve", waiting["gate_id"]).code == 30
    assert operator.ask("gate", "show", waiting["gate_id"])["state"] == "open"


@pytest.mark.parametrize(("typed", "state", "code"), [("y\n", "approved", 0), ("n\n", "open", 130)])
def test_at_a_terminal_the_operator_is_shown_and_asked(
    operator: Operator, waiting: dict[str, Any], typed: str, state: str, code: int
) -> None:
    shown, ended = at_terminal(operator, "gate", "approve", waiting["gate_id"], typed=typed)
    assert waiting["patch"]["sha256"] in shown
    assert ended == code
    assert operator.ask("gate", "show", waiting["gate_id"])["state"] == state


def test_a_rejected_step_fails_as_refused(operator: Operator, waiting: dict[str, Any]) -> None:
    operator.ask("gate", "reject", waiting["gate_id"])
    assert operator.say("step", "wait", waiting["step_id"]).code == 22


def test_a_question_is_answered(operator: Operator) -> None:
    asked = operator.say("submit", "--goal", "g", "--executor", "fake-blocker", "--wait", "--json").document
    shown = operator.say("gate", "show", asked["gate_id"]).out
    assert asked["question"] in shown
    assert f"ropeway gate answer {asked['gate_id']}" in shown
    operator.ask("gate", "answer", asked["gate_id"], "the left one")
    assert operator.say("step", "wait", asked["step_id"]).code == 0
    assert "+the left one" in operator.say("step", "patch", asked["step_id"]).out


# -- looking


def test_a_patch_is_printed_as_git_takes_it(operator: Operator) -> None:
    result = operator.ask("submit", "--patch", "-", "--wait", stdin=PATCH)
    printed = operator.say("step", "patch", result["step_id"]).out
    subprocess.run(["git", "apply", "--check", "-"], cwd=operator.repository, input=printed, text=True, check=True)


def test_the_log_of_a_step_is_printed(operator: Operator) -> None:
    result = operator.ask("submit", "--goal", "g", "--executor", "fake-success", "--wait")
    assert "done as asked" in operator.say("step", "log", result["step_id"]).out
    assert operator.say("step", "log", result["step_id"], "--stderr").out == ""


def test_what_is_printed_as_it_is_can_be_one_document_too(operator: Operator) -> None:
    result = operator.ask("submit", "--patch", "-", "--wait", stdin=PATCH)
    patch = operator.ask("step", "patch", result["step_id"])
    assert patch["text"] == operator.say("step", "patch", result["step_id"]).out
    assert patch["sha256"] == result["patch"]["sha256"]
    step_id = operator.ask("submit", "--goal", "g", "--executor", "fake-success", "--wait")["step_id"]
    log = operator.ask("step", "log", step_id)
    assert (log["text"], log["is_complete"]) == (operator.say("step", "log", step_id).out, True)
    assert operator.say("step", "log", step_id, "--follow", "--json").code == 30


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run", "list", "--json"), 0),
        (("events",), 0),
        (("submit", "--goal", "g", "--executor", "fake-failure", "--wait", "--quiet"), 20),
    ],
)
def test_output_that_nobody_reads_on_changes_nothing_of_how_a_command_ends(
    operator: Operator, words: tuple[str, ...], code: int
) -> None:
    operator.ask("run", "create", "o")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        operator.argv(*words), cwd=operator.repository, env=operator.env, stdout=writing, stderr=subprocess.PIPE,
        text=True, check=False, timeout=60,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (code, "")


def test_on_a_terminal_the_progress_is_live_and_the_result_readable(operator: Operator) -> None:
    shown, ended = at_terminal(operator, "submit", "--goal", "shine", "--executor", "fake-success", "--wait")
    assert ended == 0
    assert "shine" in shown
    assert "fake-success.txt" in shown


# -- checking


def test_verify_holds_with_and_without_a_daemon_and_finds_what_was_changed(newcomer: Operator) -> None:
    newcomer.ask("submit", "--patch", "-", "--wait", stdin=PATCH)
    assert newcomer.ask("verify")["ok"]
    newcomer.daemon_kill()
    report = newcomer.ask("verify")
    assert (report["ok"], report["logs"], report["signatures"]) == (True, 1, 1)
    blob = next(path for path in (newcomer.home / "artifacts").rglob("*") if path.is_file())
    blob.write_bytes(b"forged")
    said = newcomer.say("verify", "--json")
    assert (said.code, said.document["ok"]) == (28, False)
    assert said.document["findings"]


def test_verify_without_a_record_says_so(newcomer: Operator) -> None:
    assert newcomer.say("verify").code == 30


def test_doctor_works_without_a_daemon(newcomer: Operator) -> None:
    report = newcomer.ask("doctor")
    assert report["ok"]
    assert {check["name"]: check["ok"] for check in report["checks"]}["daemon"] is False
    assert not (newcomer.home / "daemon.json").exists()


def test_doctor_names_what_is_wrong(newcomer: Operator) -> None:
    newcomer.home.mkdir(mode=0o700)
    (newcomer.home / "daemon.toml").write_text("[nothing]\n")
    said = newcomer.say("doctor")
    assert said.code == 29
    assert "nothing" in said.out


def test_status_and_repositories_are_listed(operator: Operator) -> None:
    operator.ask("init")
    assert operator.ask("status")["executors"]
    assert [item["label"] for item in operator.ask("repository", "list")["items"]] == ["r"]
