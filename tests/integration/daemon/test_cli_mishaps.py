"""`ropeway` when something is not as it should be: every mishap is one clear sentence, an exit code, and no trace."""

import json
import os
import select
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.daemon.machine import repository_make
from tests.integration.daemon.shell import ENDS_WITHIN_S, Operator

SLOW = "goal: g\nexecutor: slow\n"
TEMPLATE = "[templates.slow]\ncommand = ['/bin/sh', '-c', 'echo begun; exec sleep 600']\n"
UNKNOWN_STEP = "step_01j00000000000000000000000"


# -- looking changes nothing


@pytest.mark.parametrize(
    "words",
    [("run", "list"), ("gate", "list"), ("step", "get", UNKNOWN_STEP), ("step", "cancel", UNKNOWN_STEP)],
    ids=" ".join,
)
def test_looking_at_an_unknown_repository_does_not_make_it_known(
    operator: Operator, tmp_path: Path, words: tuple[str, ...]
) -> None:
    operator.ask("init")
    before = operator.ask("repository", "list")
    stranger = repository_make(tmp_path / "stranger")
    for said in (
        operator.say(*words, cwd=stranger),
        operator.say(*words, "--repository", str(stranger)),
        operator.say(*words, "--repository", os.path.relpath(stranger, operator.repository)),
    ):
        assert said.code == 30
        assert "ropeway init" in said.err
    assert operator.ask("repository", "list") == before


def test_a_known_repository_is_found_from_any_folder_below_it(operator: Operator) -> None:
    operator.ask("init")
    below = operator.repository / "a" / "b"
    below.mkdir(parents=True, exist_ok=True)
    assert operator.say("run", "list", cwd=below).code == 0


def test_standing_in_no_repository_is_said_so(operator: Operator, tmp_path: Path) -> None:
    operator.ask("init")
    for words in (("run", "list"), ("submit", "--goal", "g", "--executor", "fake-success")):
        said = operator.say(*words, cwd=tmp_path)
        assert said.code == 30
        assert said.err.startswith("ropeway: You stand in no git repository; name one with --repository")
        assert said.err.count("\n") == 1


def test_a_folder_that_is_not_there_is_named(operator: Operator) -> None:
    operator.ask("init")
    said = operator.say("run", "list", "--repository", "/nowhere/at/all")
    assert (said.code, "there is no folder /nowhere/at/all" in said.err) == (30, True)


# -- wrong words


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("submit", "--goal", "g", "--executor", "fake-success", "--wait", "--timeout", "nan"), "--timeout"),
        (("submit", "--goal", "g", "--executor", "fake-success", "--wait", "--timeout", "inf"), "--timeout"),
        (("submit", "--goal", "g", "--executor", "fake-success", "--timeout", "3"), "--wait"),
        (("repository", "add", ".", "--label", "a\nb"), "label"),
        (("step", "cancel", UNKNOWN_STEP, "--reason", "x" * 9000), "reason"),
        (("run", "cancel", "run_01j00000000000000000000000", "--reason", "x" * 9000), "reason"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_wrong_option_is_named_and_no_trace_is_shown(operator: Operator, words: tuple[str, ...], named: str) -> None:
    operator.ask("init")
    said = operator.say(*words)
    assert said.code == 30, said
    assert named in said.err
    assert "Traceback" not in said.err


# -- while a step is waited for


@contextmanager
def waiting(operator: Operator, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """Somebody waits for a step that takes long; the block begins when its executor is at work. That it is running says
    less: it is on record before the process may begin, and one that never began is started anew."""
    operator.home.mkdir(mode=0o700)
    (operator.home / "daemon.toml").write_text(TEMPLATE)
    operator.ask("init")
    process = subprocess.Popen(
        operator.argv("submit", "--task", "-", "--wait", *words),
        cwd=operator.repository,
        env=operator.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(SLOW)
    process.stdin.close()
    process.stdin = None
    try:
        for line in process.stderr:
            if line.rstrip().endswith("begun"):
                break
        yield process
    finally:
        process.kill()
        process.communicate()


def _only_step(operator: Operator) -> dict[str, str]:
    run = operator.ask("run", "list")["items"][0]
    return dict(operator.ask("run", "get", run["run_id"])["steps"][0])


def test_ctrl_c_ends_the_wait_and_says_that_the_step_goes_on(newcomer: Operator) -> None:
    with waiting(newcomer) as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=ENDS_WITHIN_S)
        assert process.returncode == 130
    step = _only_step(newcomer)
    assert step["state"] == "running"
    assert f"the step goes on. See it with: ropeway step wait {step['step_id']}" in said
    assert "Traceback" not in said
    newcomer.ask("step", "cancel", step["step_id"])


def test_a_daemon_that_is_killed_while_a_step_is_waited_for_is_said_and_the_record_is_true(newcomer: Operator) -> None:
    with waiting(newcomer) as process:
        newcomer.daemon_kill()
        _, said = process.communicate(timeout=ENDS_WITHIN_S)
        assert process.returncode == 41
    assert "The daemon stopped while step_" in said
    assert "ropeway daemon" in said
    newcomer.ask("init")
    step = _only_step(newcomer)
    ended = newcomer.say("step", "wait", step["step_id"], "--json")
    assert (ended.code, ended.document["failure"]["kind"]) == (20, "interrupted")


# -- a home that is not as it was left


def _started(operator: Operator) -> None:
    operator.ask("init")
    operator.daemon_kill()


def _daemon_refused(operator: Operator) -> str:
    said = operator.say("daemon")
    assert said.code == 30, said
    assert "Traceback" not in said.err
    return said.err


def test_a_second_daemon_is_refused(newcomer: Operator) -> None:
    newcomer.ask("init")
    assert "Another daemon runs in this home" in _daemon_refused(newcomer)


def test_a_damaged_identity_is_not_replaced_by_another(newcomer: Operator) -> None:
    _started(newcomer)
    for content in ("{", "{}", '{"instance_id": "i", "private_key": "eA=="}', "[]"):
        (newcomer.home / "identity.json").write_text(content)
        assert "identity.json can't be read" in _daemon_refused(newcomer)
        assert newcomer.say("verify").code == 28
        assert (newcomer.home / "identity.json").read_text() == content


def test_a_damaged_record_is_said_and_fails_verification(newcomer: Operator) -> None:
    _started(newcomer)
    for name in ("record.sqlite3-wal", "record.sqlite3-shm"):
        (newcomer.home / name).unlink(missing_ok=True)
    (newcomer.home / "record.sqlite3").write_bytes(b"junk" * 1000)
    assert "The record can't be read" in _daemon_refused(newcomer)
    said = newcomer.say("verify", "--json")
    assert (said.code, said.document["ok"]) == (28, False)


def test_an_empty_token_opens_nothing_and_is_made_anew(newcomer: Operator) -> None:
    _started(newcomer)
    (newcomer.home / "token").write_text("\n")
    newcomer.ask("init")
    assert len((newcomer.home / "token").read_text()) >= 32


def test_secrets_that_others_may_read_are_closed_again(newcomer: Operator) -> None:
    _started(newcomer)
    names = ("token", "identity.json", "record.sqlite3", "daemon.json")
    for name in names:
        (newcomer.home / name).chmod(0o644)
    newcomer.home.chmod(0o755)
    newcomer.ask("init")
    assert [stat.S_IMODE((newcomer.home / name).stat().st_mode) for name in names] == [0o600] * 4
    assert stat.S_IMODE(newcomer.home.stat().st_mode) == 0o700


def test_an_address_left_by_a_crash_is_no_daemon(newcomer: Operator) -> None:
    _started(newcomer)
    assert (newcomer.home / "daemon.json").exists()
    assert (newcomer.home / "daemon.sock").exists()
    assert newcomer.say("status").code == 41
    for content in ("", "[]", "{}", '{"socket": 7}'):
        (newcomer.home / "daemon.json").write_text(content)
        assert newcomer.say("status").code == 41
    assert newcomer.say("init").code == 0


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_home_that_can_be_none_is_said_by_every_command(newcomer: Operator, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    nowhere = ("--home", str(tmp_path / name))
    for words, code in {("init",): 41, ("daemon",): 30, ("status",): 41, ("verify",): 30, ("doctor",): 29}.items():
        said = newcomer.say(*nowhere, *words)
        assert (said.code, "Traceback" in said.err) == (code, False), (words, said)


def test_a_home_may_have_any_name(tmp_path: Path) -> None:
    at_shell = Operator(home=tmp_path / "h ö me%20?#" / "x", repository=repository_make(tmp_path / "r é p o"))
    try:
        assert at_shell.ask("submit", "--goal", "g", "--executor", "fake-success", "--wait")["state"] == "completed"
        assert at_shell.ask("verify")["ok"]
    finally:
        at_shell.daemon_kill()


def test_a_daemon_asked_to_end_leaves_no_address(newcomer: Operator) -> None:
    newcomer.ask("init")
    gone = os.pidfd_open(newcomer.daemon_pid())
    os.kill(json.loads((newcomer.home / "daemon.json").read_text())["pid"], signal.SIGTERM)
    assert select.select([gone], [], [], ENDS_WITHIN_S)[0]
    os.close(gone)
    assert not (newcomer.home / "daemon.json").exists()
    assert newcomer.say("status").code == 41


@pytest.mark.parametrize("errors_to", ["2>&1 >&3 | true", "2>&- >&3"], ids=["nobody reads them", "closed"])
def test_who_is_told_nothing_while_waiting_still_gets_the_result_and_its_exit_code(
    operator: Operator, tmp_path: Path, errors_to: str
) -> None:
    operator.ask("init")
    words = operator.argv("submit", "--goal", "g", "--executor", "fake-failure", "--wait")
    script = f'exec 3>"$OUT"; {{ "$@"; echo $? > "$CODE"; }} {errors_to}'
    out, code = tmp_path / "out", tmp_path / "code"
    subprocess.run(
        ["sh", "-c", script, "sh", *words],
        cwd=operator.repository,
        env={**operator.env, "OUT": str(out), "CODE": str(code)},
        check=False,
        timeout=ENDS_WITHIN_S,
    )
    assert " is failed" in out.read_text()
    assert code.read_text() == "20\n"


@pytest.mark.parametrize(
    ("words", "code", "status", "is_retryable"),
    [
        (("apply", "latest"), "invalid_request", 400, False),
        (("submit", "--nonsense"), "invalid_request", 400, False),
        (("verify",), "not_found", 404, False),
        (("run", "list"), "daemon_unreachable", 503, True),
    ],
    ids=["asked", "called", "looked", "silence"],
)
def test_what_the_command_finds_itself_has_the_members_of_a_refusal_by_the_daemon(
    operator: Operator, newcomer: Operator, words: tuple[str, ...], code: str, status: int, is_retryable: bool
) -> None:
    if words[0] == "apply":
        operator.ask("submit", "--goal", "g", "--executor", "fake-success", "--wait")
    error = (operator if words[0] == "apply" else newcomer).say(*words, "--json").document["error"]
    assert (error["code"], error["status"], error["retryable"]) == (code, status, is_retryable)
    assert error["detail"]
