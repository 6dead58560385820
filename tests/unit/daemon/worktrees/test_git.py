"""The one caller of git: typed failures, clean messages, nobody asked."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from local_daemon.worktrees import git, special_files


async def test_a_failure_carries_gits_own_words_without_directories(repository):
    with pytest.raises(git.GitFailed) as raised:
        await git.git(git.GitPlace(directory=repository), "worktree", "add", str(repository), "HEAD")
    assert raised.value.exit_code == 128
    assert "already exists" in raised.value.detail
    assert str(repository.parent) not in str(raised.value)


async def test_too_much_output_is_a_typed_error(repository):
    with pytest.raises(git.GitOutputTooLarge):
        await git.git(git.GitPlace(directory=repository), "cat-file", "-p", "HEAD:README", max_output_bytes=3)


async def test_a_git_that_takes_too_long_is_a_typed_error(repository):
    with pytest.raises(git.GitTimedOut):
        await git.git(git.GitPlace(directory=repository), "-c", "alias.w=!sleep 60", "w", timeout_s=0.05)


async def test_a_git_that_is_over_first_answers_while_the_reason_is_still_sought(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe, answered, ended = tmp_path / "pipe", threading.Event(), threading.Event()
    os.mkfifo(pipe)

    def find(directory: Path, *, is_over: Callable[[], bool]) -> list[Path]:
        pipe.write_text("over\n")
        answered.wait(20)
        ended.set()
        return [directory / ".gitignore"]

    monkeypatch.setattr(git, "LOOK_AFTER_S", 0)
    monkeypatch.setattr(special_files, "special_files_find", find)
    place = git.GitPlace(directory=repository, git_dir=repository / ".git", index=repository / ".git/other-index")
    try:
        assert (await git.git(place, "-c", f"alias.w=!cat {pipe}", "w")).line == "over"
        assert not ended.is_set()
    finally:
        answered.set()


async def test_for_a_git_that_is_not_to_be_ended_half_done_no_pipe_is_sought(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sought: list[Path] = []
    monkeypatch.setattr(git, "LOOK_AFTER_S", 0)
    monkeypatch.setattr(special_files, "special_files_find", lambda directory, **_: sought.append(directory) or [])
    place = git.GitPlace(directory=repository, git_dir=repository / ".git", index=repository / ".git/index")
    await git.git(place, "-c", "alias.w=!git status && git status", "w", seeks_pipes=False)
    assert sought == []


def test_the_daemons_own_git_variables_never_pass(monkeypatch):
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/elsewhere/index")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/home/ada/.gitconfig")
    environment = git.git_environment()
    assert {"GIT_DIR", "GIT_INDEX_FILE"}.isdisjoint(environment)
    assert environment["GIT_CONFIG_GLOBAL"] == "/home/ada/.gitconfig"
    assert environment["GIT_TERMINAL_PROMPT"] == "0"


@pytest.mark.parametrize(
    ("said", "clean"),
    [
        (b"fatal: '/home/ada/w/x' already exists\n", "fatal: 'x' already exists"),
        (b'error: open("/srv/repo/a/b"): Permission denied', 'error: open("a/b"): Permission denied'),
        (b"fatal: in /srv/repo", "fatal: in ."),
        (b"error: patch failed: src/a.py:3", "error: patch failed: src/a.py:3"),
    ],
)
def test_messages_lose_their_directories(said, clean):
    assert git.stderr_clean(said, Path("/srv/repo")) == clean


async def test_a_git_that_was_moved_since_it_was_found_is_found_where_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = shutil.which("git")
    assert found is not None
    before, after = tmp_path / "before", tmp_path / "after"
    for folder in (before, after):
        folder.mkdir()
    (before / "git").symlink_to(found)
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, (before, after))))
    await git.git(git.GitPlace(directory=tmp_path), "version")
    (before / "git").rename(after / "git")
    assert (await git.git(git.GitPlace(directory=tmp_path), "version")).line.startswith("git version")
    (after / "git").unlink()
    with pytest.raises(git.GitFailed):
        await git.git(git.GitPlace(directory=tmp_path), "version")


async def test_a_program_called_git_in_the_place_itself_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impostor = tmp_path / "git"
    impostor.write_text("#!/bin/sh\ntouch ran\n")
    impostor.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.environ['PATH']}")
    answer = await git.git(git.GitPlace(directory=tmp_path), "version")
    assert answer.line.startswith("git version")
    assert not (tmp_path / "ran").exists()
