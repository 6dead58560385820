"""`ropeway init` and the first submission: what a newcomer types, and what is refused before anything is started."""

import tomllib
from pathlib import Path

import pytest

from tests.integration.daemon.machine import repository_make
from tests.integration.daemon.shell import Operator

WRITTEN = Path(".ropeway") / "repository.toml"


def on_path(operator: Operator, folder: Path, *programs: str) -> None:
    """Put programs that only tell a version in front of the operator's PATH."""
    folder.mkdir()
    for name in programs:
        (folder / name).write_text("#!/bin/sh\necho 99.0.0\n")
        (folder / name).chmod(0o755)
    operator.more_env["PATH"] = f"{folder}:/usr/bin:/bin"


def default_of(repository: Path) -> str | None:
    return tomllib.loads((repository / WRITTEN).read_text())["defaults"].get("executor")


# -- init


def test_init_writes_the_file_lists_the_executors_and_says_what_comes_next(newcomer: Operator) -> None:
    said = newcomer.say("init")
    assert said.code == 0, said
    assert tomllib.loads((newcomer.repository / WRITTEN).read_text()) == {"defaults": {}}
    assert "codex" in said.out
    assert "ropeway submit" in said.out


def test_init_again_changes_nothing(newcomer: Operator) -> None:
    first = newcomer.ask("init", "--executor", "fake-success")
    (newcomer.repository / WRITTEN).write_text((newcomer.repository / WRITTEN).read_text() + "# mine\n")
    kept = (newcomer.repository / WRITTEN).read_text()
    again = newcomer.ask("init")
    assert (again["repository_id"], again["file_written"]) == (first["repository_id"], False)
    assert (newcomer.repository / WRITTEN).read_text() == kept


def test_init_from_a_folder_within_writes_at_the_repositorys_root(newcomer: Operator) -> None:
    (newcomer.repository / "a" / "b").mkdir(parents=True)
    said = newcomer.say("init", cwd=newcomer.repository / "a" / "b")
    assert said.code == 0, said
    assert (newcomer.repository / WRITTEN).exists()


def test_the_only_executor_there_is_becomes_the_default(newcomer: Operator, tmp_path: Path) -> None:
    on_path(newcomer, tmp_path / "bin", "codex")
    assert newcomer.ask("init")["default_executor"] == "codex"
    assert default_of(newcomer.repository) == "codex"


def test_of_several_executors_none_is_chosen_unasked(newcomer: Operator, tmp_path: Path) -> None:
    on_path(newcomer, tmp_path / "bin", "codex", "claude")
    assert newcomer.ask("init")["default_executor"] is None
    assert default_of(newcomer.repository) is None


def test_a_default_that_is_named_later_replaces_the_one_before(newcomer: Operator) -> None:
    newcomer.ask("init", "--executor", "fake-failure")
    newcomer.ask("init", "--executor", "fake-success")
    assert default_of(newcomer.repository) == "fake-success"


def test_init_names_an_executor_that_is_not_there(newcomer: Operator) -> None:
    said = newcomer.say("init", "--executor", "nobody")
    assert said.code == 30
    assert "nobody" in said.err
    assert not (newcomer.repository / WRITTEN).exists()


def test_init_says_why_its_file_can_not_be_written(newcomer: Operator) -> None:
    (newcomer.repository / ".ropeway").write_text("in the way")
    said = newcomer.say("init")
    assert (said.code, said.err) == (30, "ropeway: .ropeway/repository.toml can't be written: File exists.\n")


# -- who does it


def test_a_goal_alone_is_enough_where_a_default_was_chosen(newcomer: Operator) -> None:
    newcomer.ask("init", "--executor", "fake-success")
    said = newcomer.say("submit", "--goal", "write something", "--wait")
    assert said.code == 0, said
    assert "take it over: ropeway apply step_" in said.out
    assert "signed" in said.out


def test_the_line_that_takes_a_result_over_does(newcomer: Operator) -> None:
    newcomer.ask("init", "--executor", "fake-success")
    said = newcomer.say("submit", "--goal", "write something", "--wait")
    line = next(line for line in said.out.splitlines() if "take it over" in line)
    step_id = line.split()[-1]
    digest = newcomer.ask("step", "result", step_id)["patch"]["sha256"]
    assert newcomer.say(*line.split()[4:], "--digest", digest).code == 0
    assert (newcomer.repository / "fake-success.txt").exists()


def test_the_operators_default_serves_where_the_repository_has_none(newcomer: Operator) -> None:
    newcomer.home.mkdir(mode=0o700)
    (newcomer.home / "daemon.toml").write_text('[executors]\ndefault = "fake-success"\n')
    assert newcomer.ask("submit", "--goal", "g", "--wait")["executor"] == "fake-success"
    newcomer.ask("init", "--executor", "fake-blocker")
    assert newcomer.say("submit", "--goal", "g", "--wait").code == 10


def test_without_a_choice_nobody_is_picked_and_nothing_started(newcomer: Operator) -> None:
    said = newcomer.say("submit", "--goal", "g")
    assert said.code == 30
    assert "--executor" in said.err
    assert not newcomer.home.exists()


def test_where_no_executor_is_installed_a_newcomer_is_told_what_to_do(newcomer: Operator, tmp_path: Path) -> None:
    on_path(newcomer, tmp_path / "bin")
    for words in (("submit", "--goal", "g"), ("init",)):
        said = newcomer.say(*words)
        for hint in ("codex", "claude", "log in to it", "--patch", "fake-success"):
            assert hint in said.out + said.err


def test_where_several_could_do_it_they_are_named(newcomer: Operator, tmp_path: Path) -> None:
    on_path(newcomer, tmp_path / "bin", "codex", "claude")
    said = newcomer.say("submit", "--goal", "g")
    assert "--executor (claude, codex)" in said.err
    assert not newcomer.home.exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--goal", "g", "--executor", "nobody"),
        ("--goal", "g", "--executor", "Not A Name"),
        ("--goal", "", "--executor", "fake-success"),
        ("--goal", "g", "--executor", "fake-success", "--name", "no name"),
        ("--task", "-"),
    ],
    ids=str,
)
def test_wrong_input_is_refused_before_a_daemon_is_started(newcomer: Operator, words: tuple[str, ...]) -> None:
    said = newcomer.say("submit", *words, stdin="goal: [")
    assert said.code == 30, said
    assert not (newcomer.home / "daemon.json").exists()


def test_a_folder_without_a_repository_is_said_before_a_daemon_is_started(newcomer: Operator, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    said = newcomer.say("submit", "--goal", "g", "--executor", "fake-success", cwd=tmp_path / "plain")
    assert said.code == 30
    assert "git repository" in said.err
    assert not newcomer.home.exists()


def test_a_misspelt_default_is_an_error_that_names_it(newcomer: Operator) -> None:
    (newcomer.repository / ".ropeway").mkdir()
    (newcomer.repository / WRITTEN).write_text('[defaults]\nexekutor = "codex"\n')
    for words in (("init",), ("submit", "--goal", "g")):
        said = newcomer.say(*words)
        assert said.code == 30
        assert "exekutor" in said.err


def test_a_failed_step_shows_its_last_words_and_where_the_rest_is(newcomer: Operator) -> None:
    said = newcomer.say("submit", "--goal", "g", "--executor", "fake-failure", "--wait")
    assert said.code == 20
    assert "failed as asked" in said.out
    assert "ropeway step log step_" in said.out


@pytest.mark.parametrize("executor", ["fake-success", "fake-failure"])
def test_a_result_reads_later_as_it_did_at_its_end(newcomer: Operator, executor: str) -> None:
    told = newcomer.say("submit", "--goal", "g", "--executor", executor, "--wait").out
    assert "signed; `ropeway verify` checks it" in told
    assert newcomer.say("step", "result", "latest").out == told


def test_two_repositories_have_a_default_each(newcomer: Operator, tmp_path: Path) -> None:
    other = repository_make(tmp_path / "other")
    newcomer.ask("init", "--executor", "fake-success")
    newcomer.ask("init", str(other), "--executor", "fake-failure")
    assert newcomer.say("submit", "--goal", "g", "--wait").code == 0
    assert newcomer.say("submit", "--goal", "g", "--wait", "--repository", str(other)).code == 20
