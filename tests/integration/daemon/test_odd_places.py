"""Repositories in places that few people have: worked in as in any other, from the folder to the applied result."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.daemon.machine import git
from tests.integration.daemon.shell import Operator

WORK = ("submit", "--goal", "g", "--executor", "fake-success", "--wait")


def work_and_apply(operator: Operator) -> None:
    """One step, and its result on the branch that is checked out."""
    done = operator.ask(*WORK)
    assert done["state"] == "completed", done
    applied = operator.say("apply", done["step_id"], "--digest", done["patch"]["sha256"])
    assert applied.code == 0, applied
    assert (operator.repository / "fake-success.txt").read_text() == "g\n"
    assert git(operator.repository, "status", "--porcelain") == ""


@pytest.mark.parametrize("name", ["two\nlines", "ends in one\n", ' -"quo\'ted" $(x) \N{SNOWMAN} \x1b[31m '])
def test_the_name_of_its_folder_is_nobodys_business(newcomer: Operator, tmp_path: Path, name: str) -> None:
    there = newcomer.repository.rename(tmp_path / name)
    at_shell = Operator(home=newcomer.home, repository=there)
    work_and_apply(at_shell)
    (known,) = at_shell.ask("repository", "list")["items"]
    assert known["label"].isprintable()


def test_a_git_directory_elsewhere_is_a_git_directory(newcomer: Operator, tmp_path: Path) -> None:
    git(newcomer.repository, "init", "--quiet", "--separate-git-dir", str(tmp_path / "elsewhere"))
    work_and_apply(newcomer)


@pytest.mark.parametrize("where", ["itself", "linked"])
def test_a_submodule_is_a_repository_and_so_is_its_further_checkout(
    newcomer: Operator, tmp_path: Path, where: str
) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "--quiet")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(newcomer.repository), "sub")
    place = outer / "sub"
    if where == "linked":
        git(place, "worktree", "add", "--quiet", "-b", "linked", str(tmp_path / "linked"))
        place = tmp_path / "linked"
    work_and_apply(Operator(home=newcomer.home, repository=place))


def test_references_in_tables_are_references(newcomer: Operator, tmp_path: Path) -> None:
    """As a newer git keeps them where it is told to."""
    place = tmp_path / "tables"
    place.mkdir()
    try:
        git(place, "init", "--quiet", "--ref-format=reftable", "--initial-branch=main")
    except subprocess.CalledProcessError:
        pytest.skip("this git knows no tables of references")
    git(place, "commit", "--quiet", "--allow-empty", "--message", "first")
    at_shell = Operator(home=newcomer.home, repository=place)
    work_and_apply(at_shell)
    kept = git(place, "for-each-ref", "--format=%(refname)", "refs/ropeway").split()
    assert len(kept) == 1
    git(place, "fsck", "--strict")


def test_a_folder_whose_name_is_no_text_is_told_of(newcomer: Operator, tmp_path: Path) -> None:
    there = newcomer.repository.rename(tmp_path / os.fsdecode(b"\xff"))
    said = Operator(home=newcomer.home, repository=there).say("init")
    assert (said.code, "path: contains what is no text" in said.err) == (30, True), said
