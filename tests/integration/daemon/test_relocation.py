"""A checkout that was moved on the disk, or that nobody works in any more, as its operator says so."""

from pathlib import Path

from tests.integration.daemon.machine import git, repository_make
from tests.integration.daemon.shell import Operator

WORK = ("submit", "--goal", "g", "--executor", "fake-success", "--wait")


def moved(operator: Operator, place: Path) -> Operator:
    """The same operator, in the checkout at its new place."""
    operator.repository.rename(place)
    return Operator(home=operator.home, repository=place, more_env=operator.more_env)


def known(operator: Operator) -> str:
    """The one repository that the daemon knows."""
    (found,) = operator.ask("repository", "list")["items"]
    return str(found["repository_id"])


def test_a_checkout_that_was_moved_goes_on_with_its_history(newcomer: Operator, tmp_path: Path) -> None:
    before = newcomer.ask(*WORK)
    repository_id = known(newcomer)
    there = moved(newcomer, tmp_path / "moved")
    said = there.say("repository", "relocate", repository_id, ".")
    assert (said.code, "at its new place" in said.out, "git fetch" in said.out) == (0, True, False), said
    after = there.ask(*WORK)
    assert (after["state"], known(there)) == ("completed", repository_id)
    assert len(there.ask("run", "list")["items"]) == 2
    assert there.say("apply", before["step_id"], "--digest", before["patch"]["sha256"]).code == 0
    assert "fake-success.txt" in git(there.repository, "ls-tree", "--name-only", "HEAD")


def test_another_repository_is_not_taken_for_the_one_that_was_moved(newcomer: Operator, tmp_path: Path) -> None:
    newcomer.ask(*WORK)
    repository_id = known(newcomer)
    other = repository_make(tmp_path / "other", files=1)
    said = newcomer.say("repository", "relocate", repository_id, str(other))
    assert said.code == 30
    assert "another repository" in said.err
    newcomer.ask(*WORK)
    assert known(newcomer) == repository_id


def test_a_clone_is_the_same_repository_and_what_git_does_not_keep_there_is_told(
    newcomer: Operator, tmp_path: Path
) -> None:
    newcomer.ask(*WORK)
    repository_id = known(newcomer)
    git(tmp_path, "clone", "--quiet", str(newcomer.repository), "clone")
    said = newcomer.say("repository", "relocate", repository_id, str(tmp_path / "clone"))
    assert (said.code, "1 results are not kept there" in said.out) == (0, True), said
    git(tmp_path / "clone", "fetch", "--quiet", "origin", "refs/ropeway/*:refs/ropeway/*")
    again = newcomer.ask("repository", "relocate", repository_id, str(tmp_path / "clone"))
    assert again["results_missing"] == 0


def test_a_forgotten_repository_is_read_by_its_id_and_known_again_by_relocating_it(newcomer: Operator) -> None:
    newcomer.ask(*WORK)
    repository_id = known(newcomer)
    said = newcomer.say("repository", "forget")
    assert (said.code, "its history stays on record" in said.out) == (0, True), said
    assert newcomer.ask("repository", "list")["items"] == []
    assert newcomer.say("run", "list").code == 30
    assert len(newcomer.ask("run", "list", "--repository", repository_id)["items"]) == 1
    assert newcomer.say("verify").code == 0
    newcomer.ask("repository", "relocate", repository_id, ".")
    newcomer.ask(*WORK)
    assert known(newcomer) == repository_id


def test_a_folder_without_git_is_forgotten_and_added_where_it_is_now(newcomer: Operator, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "one.txt").write_text("1\n")
    added = newcomer.ask("repository", "add", str(folder))
    folder.rename(tmp_path / "moved")
    said = newcomer.say("repository", "relocate", added["repository_id"], str(tmp_path / "moved"))
    assert said.code == 30
    assert "no commits of its own" in said.err and "forget it, then add it" in said.err
    newcomer.ask("repository", "forget", added["repository_id"])
    again = newcomer.ask("repository", "add", str(tmp_path / "moved"))
    assert again["repository_id"] != added["repository_id"]


def test_init_where_a_checkout_was_moved_to_says_how_its_history_goes_on(newcomer: Operator, tmp_path: Path) -> None:
    newcomer.ask(*WORK)
    repository_id = known(newcomer)
    (tmp_path / "elsewhere").mkdir()
    there = moved(newcomer, tmp_path / "elsewhere" / newcomer.repository.name)
    said = there.say("init")
    steps = [line.split()[1:] for line in said.out.splitlines() if line.startswith("  ropeway repository ")]
    assert [each[:2] for each in steps] == [["repository", "forget"], ["repository", "relocate"]], said
    for each in steps:
        assert there.say(*each).code == 0
    assert known(there) == repository_id
    assert "relocate" not in there.say("init").out


def hints(operator: Operator) -> list[list[str]]:
    """The commands about repositories that `init` proposes."""
    said = operator.say("init")
    return [line.split()[1:] for line in said.out.splitlines() if line.startswith("  ropeway repository ")]


def test_init_where_a_renamed_checkout_lies_says_how_its_history_goes_on(newcomer: Operator, tmp_path: Path) -> None:
    newcomer.ask(*WORK)
    repository_id = known(newcomer)
    there = moved(newcomer, tmp_path / "renamed")
    forget, relocate = hints(there)
    assert relocate == ["repository", "relocate", repository_id, "."]
    for each in (forget, relocate):
        assert there.say(*each).code == 0
    assert known(there) == repository_id
    assert hints(there) == []


def test_init_in_a_forgotten_checkout_says_how_its_history_goes_on(newcomer: Operator) -> None:
    newcomer.ask(*WORK)
    repository_id = known(newcomer)
    newcomer.ask("repository", "forget")
    forget, relocate = hints(newcomer)
    assert relocate == ["repository", "relocate", repository_id, "."]
    for each in (forget, relocate):
        assert newcomer.say(*each).code == 0
    assert known(newcomer) == repository_id


def test_init_beside_repositories_that_are_where_they_were_proposes_nothing(newcomer: Operator, tmp_path: Path) -> None:
    newcomer.ask(*WORK)
    other = repository_make(tmp_path / "other", files=1)
    assert hints(Operator(home=newcomer.home, repository=other, more_env=newcomer.more_env)) == []


def test_a_git_directory_that_was_exchanged_is_not_worked_in_before_its_operator_says_so(
    newcomer: Operator, tmp_path: Path
) -> None:
    newcomer.ask(*WORK)
    repository_id = known(newcomer)
    git(newcomer.repository, "init", "--quiet", "--separate-git-dir", str(tmp_path / "elsewhere"))
    for command in (WORK, ("init",)):
        said = newcomer.say(*command)
        assert (said.code, "another directory than the one" in said.err) == (30, True), said
    assert newcomer.say("repository", "relocate", repository_id, ".").code == 0
    newcomer.ask(*WORK)
    assert known(newcomer) == repository_id
