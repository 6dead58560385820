"""A folder without git, from the first command to its changes in place: a real daemon, and no `.git` in the folder."""

import subprocess
from pathlib import Path

import pytest

from tests.integration.daemon.shell import Operator
from tests.integration.warmed import ENDS_WITHIN_S

PATCH = """\
--- a/a.txt
+++ b/a.txt
@@ -1 +1 @@
-one
+two
"""


@pytest.fixture
def folder(newcomer: Operator, tmp_path: Path) -> Path:
    root = tmp_path / "notes"
    (root / "deep").mkdir(parents=True)
    (root / "a.txt").write_text("one\n")
    return root


def test_a_folder_without_git_is_added_worked_in_and_gets_its_changes(newcomer: Operator, folder: Path) -> None:
    refused = newcomer.say("submit", "--goal", "g", "--executor", "fake-success", cwd=folder)
    assert (refused.code, newcomer.home.exists()) == (30, False)
    assert newcomer.say("repository", "add", str(folder)).out.endswith(", a folder without git\n")
    done = newcomer.say("submit", "--wait", "--patch", "-", cwd=folder / "deep", stdin=PATCH)
    assert done.code == 0, done
    step_id = done.out.split()[0]
    assert (folder / "a.txt").read_text() == "one\n"
    assert "ropeway apply" in done.out
    digest = newcomer.ask("step", "result", step_id, "--repository", str(folder))["patch"]["sha256"]
    applied = newcomer.say("apply", step_id, "--digest", digest, cwd=folder)
    assert (applied.code, applied.out) == (0, "the folder holds it\n"), applied
    assert (folder / "a.txt").read_text() == "two\n"
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "deep"]
    assert newcomer.say("apply", step_id, "--digest", digest, cwd=folder).out == "the folder held it already\n"
    assert newcomer.say("verify").code == 0


def test_what_was_changed_meanwhile_is_refused_and_stays(newcomer: Operator, folder: Path) -> None:
    newcomer.say("repository", "add", str(folder))
    done = newcomer.say("submit", "--wait", "--patch", "-", cwd=folder, stdin=PATCH)
    step_id = done.out.split()[0]
    digest = newcomer.ask("step", "result", step_id, "--repository", str(folder))["patch"]["sha256"]
    (folder / "a.txt").write_text("mine\n")
    applied = newcomer.say("apply", step_id, "--digest", digest, cwd=folder)
    assert applied.code == 22
    assert "a.txt" in applied.out
    assert (folder / "a.txt").read_text() == "mine\n"
    branch = newcomer.say("apply", step_id, "--digest", digest, "--branch", "main", cwd=folder)
    assert "has no branches" in branch.out


def test_each_attempt_begins_with_the_folder_as_it_is_then(newcomer: Operator, folder: Path) -> None:
    newcomer.say("repository", "add", str(folder))
    first = newcomer.say("submit", "--wait", "--patch", "-", cwd=folder, stdin=PATCH)
    assert first.code == 0, first
    (folder / "a.txt").write_text("another\n")
    second = newcomer.say("submit", "--wait", "--patch", "-", cwd=folder, stdin=PATCH)
    assert second.code == 20, second


def test_a_moved_home_finds_its_folders(newcomer: Operator, folder: Path, tmp_path: Path) -> None:
    newcomer.say("repository", "add", str(folder))
    newcomer.daemon_kill()
    newcomer.home.rename(tmp_path / "moved")
    moved = Operator(home=tmp_path / "moved", repository=folder)
    assert moved.say("identity", "keep").code == 0
    try:
        done = moved.say("submit", "--wait", "--patch", "-", stdin=PATCH)
        assert done.code == 0, done
    finally:
        moved.daemon_kill()


def test_a_folder_too_large_is_refused_with_the_setting_that_says_so(newcomer: Operator, folder: Path) -> None:
    newcomer.home.mkdir()
    (newcomer.home / "daemon.toml").write_text("[folders]\nfiles_max = 1\n")
    for number in range(3):
        (folder / f"{number}.txt").write_text("x")
    refused = newcomer.say("repository", "add", str(folder))
    assert refused.code == 30
    assert "more than [folders] files_max = 1 in daemon.toml" in refused.err


def test_init_prepares_a_folder_that_was_added(newcomer: Operator, folder: Path) -> None:
    assert f"take it as it is with `ropeway repository add {folder}`" in newcomer.say("init", str(folder)).err
    newcomer.say("repository", "add", str(folder))
    assert newcomer.say("init", str(folder), "--executor", "fake-success").code == 0
    assert newcomer.say("submit", "--wait", "--goal", "g", cwd=folder).code == 0


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_daemon_killed_while_it_takes_the_folder_comes_back_to_the_truth(
    newcomer: Operator, folder: Path, side: str
) -> None:
    newcomer.say("repository", "add", str(folder))
    newcomer.daemon_kill()
    failpoint = f"daemon.folder_snapshot.{side}_commit"
    died = subprocess.run(
        newcomer.argv("submit", "--wait", "--patch", "-"),
        env={**newcomer.env, "ROPEWAY_ENV": "test", "ROPEWAY_FAILPOINT": failpoint},
        cwd=folder, input=PATCH, capture_output=True, text=True, check=False, timeout=ENDS_WITHIN_S,
    )  # fmt: skip
    assert died.returncode == 41, died
    (folder / "b.txt").write_text("since then\n")
    assert newcomer.say("submit", "--wait", "--executor", "fake-success", "--goal", "g", cwd=folder).code == 0
    runs = newcomer.ask("run", "list", "--repository", str(folder))["items"]
    first = min(runs, key=lambda run: str(run["created_at"]))["run_id"]
    step_id = newcomer.ask("run", "get", first, "--repository", str(folder))["steps"][0]["step_id"]
    done = newcomer.say("step", "wait", step_id, cwd=folder)
    assert done.code == 0, done
    patch = newcomer.say("step", "patch", step_id, cwd=folder).out
    assert "+two" in patch
    assert "b.txt" not in patch
    (shadow,) = (newcomer.home / "folders").glob("*.git")
    names = {path.name for path in shadow.iterdir()}
    assert not [name for name in names if name.startswith(("folder-index.", "planned-", "ropeway-staging-"))]
    assert newcomer.say("verify").code == 0
