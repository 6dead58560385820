"""Shell completion: the scripts, and what they are answered with."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.daemon.machine import repository_make
from tests.integration.daemon.shell import ENDS_WITHIN_S, Operator


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(newcomer: Operator, shell: str) -> None:
    said = newcomer.say("completion", shell)
    assert said.code == 0, said
    assert "_ROPEWAY_COMPLETE" in said.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=said.out, text=True, check=True)


def test_the_operators_own_shell_is_the_default(newcomer: Operator) -> None:
    newcomer.more_env["SHELL"] = "/bin/zsh"
    assert newcomer.say("completion").out == newcomer.say("completion", "zsh").out
    newcomer.more_env["SHELL"] = "/bin/tcsh"
    assert newcomer.say("completion").code == 30


@pytest.mark.parametrize(
    ("words", "wanted"),
    [("ropeway wa", "watch"), ("ropeway step re", "retry"), ("ropeway submit --exe", "--executor")],
)
def test_a_shell_is_answered_with_what_fits(newcomer: Operator, words: str, wanted: str) -> None:
    newcomer.more_env.update(_ROPEWAY_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
    assert wanted in newcomer.say().out
    assert not newcomer.home.exists()


# -- values of the record


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Operator, dict[str, str]]]:
    """An operator with one of each on record, and what they are called."""
    root = tmp_path_factory.mktemp("recorded")
    operator = Operator(home=root / "home", repository=repository_make(root / "r"))
    operator.home.mkdir(mode=0o700)
    (operator.home / "daemon.toml").write_text("[profiles.quick]\nexecutor = 'codex'\nmodel = 'm'\n")
    words = ("submit", "--goal", "g", "--run", "nightly", "--wait", "--json", "--executor")
    step = operator.say(*words, "fake-success").document
    said = operator.say(*words, "fake-blocker")
    assert said.code == 10, said
    gate_id = said.document["gate_id"]
    talk = operator.ask("conversation", "begin", "--executor", "fake-success")["conversation_id"]
    names = {
        "step": step["step_id"],
        "run": step["run_id"],
        "gate": gate_id,
        "conversation": talk,
        "artifact": step["artifacts"][0]["artifact_id"],
        "name": step["artifacts"][0]["name"],
        "repository": operator.ask("repository", "list")["items"][0]["repository_id"],
    }
    yield operator, names
    operator.leave()


def offered(operator: Operator, shell: str, line: str) -> list[str]:
    """What the shell's script is told of a line that ends where the cursor stands."""
    *before, typed = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": typed if shell == "fish" else str(len(before))}
    at_key = Operator(
        home=operator.home, repository=operator.repository, more_env={"_ROPEWAY_COMPLETE": f"{shell}_complete", **asked}
    )
    said = at_key.say()
    assert (said.code, said.err) == (0, ""), said
    return [line for line in said.out.splitlines() if line]


LINES = [
    ("step get ", "step"),
    ("step get step_0", "step"),
    ("watch ", "run"),
    ("gate approve ", "gate"),
    ("conversation show ", "conversation"),
    ("artifact get latest --repository ", "repository"),
]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(("words", "noun"), LINES)
def test_ids_are_completed_from_the_record(
    recorded: tuple[Operator, dict[str, str]], shell: str, words: str, noun: str
) -> None:
    operator, names = recorded
    said = offered(operator, shell, f"ropeway {words}")
    assert any(names[noun] in line.replace("\t", ",").split(",") for line in said), said


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("submit --executor fake-s", {"fake-success"}),
        ("submit --executor codex --profile ", {"quick"}),
        ("submit --executor fake-success --profile ", set()),
        ("conversation begin --profile q", {"quick"}),
        ("submit --run nig", {"nightly"}),
        ("step get lat", {"latest"}),
        ("step get step_7zzz", set()),
        ("step get step_!", set()),
        ("artifact get latest nonsense", set()),
    ],
)
def test_only_what_goes_on_from_what_was_typed_is_offered(
    recorded: tuple[Operator, dict[str, str]], words: str, wanted: set[str]
) -> None:
    said = offered(recorded[0], "bash", f"ropeway {words}")
    assert {line.partition(",")[2] for line in said} == wanted


def test_artifacts_are_completed_by_the_beginning_of_their_id_and_within_a_step_by_name(
    recorded: tuple[Operator, dict[str, str]],
) -> None:
    operator, names = recorded
    assert offered(operator, "bash", f"ropeway artifact get {names['artifact'][:-1]}") == [f"plain,{names['artifact']}"]
    assert f"plain,{names['name']}" in offered(operator, "bash", f"ropeway artifact get {names['step']} ")


def test_bash_itself_offers_them(recorded: tuple[Operator, dict[str, str]], tmp_path: Path) -> None:
    operator, names = recorded
    program = tmp_path / "ropeway"
    program.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-P", "-m", "local_daemon.cli"])} "$@"\n')
    program.chmod(0o755)
    asks = (
        'source <(ropeway completion bash); COMP_WORDS=(ropeway step result ""); COMP_CWORD=3; '
        "_ropeway_completion ropeway; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    shown = subprocess.run(
        ["bash", "--norc", "-c", asks],
        cwd=operator.repository,
        env={**operator.env, "PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=ENDS_WITHIN_S,
    )
    assert names["step"] in shown.stdout.splitlines(), shown


@pytest.mark.parametrize("words", ["step get ", "submit --executor ", "submit --run ", "artifact get latest "])
def test_without_a_daemon_nothing_is_offered_said_or_started(newcomer: Operator, words: str) -> None:
    assert offered(newcomer, "bash", f"ropeway {words}") == []
    assert not newcomer.home.exists()
