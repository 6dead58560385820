"""Ignored files: listed, and kept on the machine as far as they fit."""

import os
import tarfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local_daemon.worktrees import changes, deletion, ignored, worktree

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def test_ignored_files_are_kept_up_to_a_size_and_the_rest_is_named(made, tmp_path):
    (made.path / "build").mkdir()
    (made.path / "build/a").write_text("12")
    (made.path / "small.log").write_text("123")
    (made.path / "large.log").write_text("x" * 1000)
    (made.path / "link.log").symlink_to("/etc/hostname")
    taken = await changes.changes_capture(made, ref="refs/ropeway/r/s/a", message="m", captured_at=NOON)
    assert [file.path for file in taken.ignored] == ["build/", "large.log", "link.log", "small.log"]
    left_out = ignored.ignored_archive(made, taken.ignored, destination=tmp_path / "kept.tar", bytes_max=100)
    assert [file.path for file in left_out] == ["large.log"]
    with tarfile.open(tmp_path / "kept.tar") as archive:
        members = {member.name: member for member in archive}
    assert set(members) == {"build", "build/a", "small.log", "link.log"}
    assert members["link.log"].issym()


async def test_nothing_ignored_is_an_empty_list(made):
    taken = await changes.changes_capture(made, ref="refs/ropeway/r/s/a", message="m", captured_at=NOON)
    assert taken.ignored == ()


async def put_aside(of, tmp_path):
    await ignored.ignored_put_aside(of, destination=tmp_path / "aside")


async def again(repository, tmp_path, name="att_2"):
    made = await worktree.worktree_create(repository, path=tmp_path / "worktrees" / name, base="HEAD")
    ignored.ignored_bring_back(made, source=tmp_path / "aside")
    return made


def leave(of):
    (of.path / "build/deep").mkdir(parents=True)
    (of.path / "build/deep/a").write_text("12")
    (of.path / "src/x.log").write_text("x")
    (of.path / "odd\nname.log").write_text("o")
    (of.path / "link.log").symlink_to("/etc/hostname")
    (of.path / "new.txt").write_text("not ignored")


async def test_what_was_put_aside_comes_back_as_it_was_and_is_not_told_as_the_next_ones(made, repository, tmp_path):
    leave(made)
    await put_aside(made, tmp_path)
    assert await ignored.ignored_list(made) == ()
    second = await again(repository, tmp_path)
    assert (second.path / "build/deep/a").read_text() == "12"
    assert (second.path / "odd\nname.log").read_text() == "o"
    assert os.readlink(second.path / "link.log") == "/etc/hostname"
    assert not (second.path / "new.txt").exists()
    assert await ignored.ignored_list(second) == ()
    assert not (tmp_path / "aside").exists()


async def test_what_was_changed_since_it_came_back_is_told(made, repository, tmp_path):
    leave(made)
    await put_aside(made, tmp_path)
    second = await again(repository, tmp_path)
    (second.path / "build/deep/b").write_text("new")
    (second.path / "src/x.log").write_text("longer")
    assert [file.path for file in await ignored.ignored_list(second)] == ["build/", "src/x.log"]
    await put_aside(second, tmp_path)
    third = await again(repository, tmp_path, "att_3")
    assert (third.path / "build/deep/b").exists() and (third.path / "odd\nname.log").exists()


async def test_what_the_new_worktree_has_itself_stays_and_nothing_goes_through_a_link(
    made, repository, tmp_path, git_in
):
    leave(made)
    await put_aside(made, tmp_path)
    git = git_in(repository)
    (repository / "link.log").write_text("tracked by now")
    git("add", "--force", "link.log"), git("rm", "-r", "--quiet", "src")
    (repository / "src").symlink_to(tmp_path)
    git("add", "src"), git("commit", "--quiet", "--message", "m")
    second = await again(repository, tmp_path)
    assert (second.path / "link.log").read_text() == "tracked by now"
    assert not (tmp_path / "x.log").exists()


async def test_what_nobody_may_write_is_put_aside_and_taken_away_too(made, repository, tmp_path):
    leave(made)
    (made.path / "build/deep").chmod(0o500)
    await put_aside(made, tmp_path)
    second = await again(repository, tmp_path)
    assert (second.path / "build/deep/a").read_text() == "12"
    await put_aside(second, tmp_path)
    third = await again(repository, tmp_path, "att_3")
    (third.path / "build/deep").chmod(0o700)
    await put_aside(third, tmp_path)
    (tmp_path / "aside/0").chmod(0o500)
    (made.path / "other.log").write_text("o")
    await put_aside(made, tmp_path)
    assert held(tmp_path / "aside") == {"0", "brought-back.json"}


async def test_nothing_put_aside_is_nothing_brought_back(made, repository, tmp_path):
    leave(made)
    await put_aside(made, tmp_path)
    second = await again(repository, tmp_path)
    for name in ("src/x.log", "odd\nname.log", "link.log"):
        (second.path / name).unlink()
    deletion.tree_delete(second.path / "build")
    await put_aside(second, tmp_path)
    third = await again(repository, tmp_path, "att_3")
    assert not (third.path / "build").exists()


def held(root):
    return {os.path.relpath(os.path.join(at, name), root) for at, _, found in os.walk(root) for name in found}


async def aside_with(made, repository, tmp_path):
    """Three ignored things put aside, and a new worktree into which they may be brought back."""
    for name in ("build/a", "build/b", "one.log", "two.log"):
        (made.path / name).parent.mkdir(exist_ok=True)
        (made.path / name).write_text(name)
    aside = tmp_path / "ignored/conv"
    await ignored.ignored_put_aside(made, destination=aside)
    await worktree.worktree_discard(repository, path=made.path)
    return aside, await worktree.worktree_create(repository, path=made.path, base="HEAD")


async def test_what_was_brought_back_for_nothing_waits_again(made, repository, tmp_path):
    aside, second = await aside_with(made, repository, tmp_path)
    ignored.ignored_bring_back(second, source=aside)
    assert (second.path / "build/a").exists()
    assert not aside.exists()
    ignored.ignored_return(second.path, destination=aside)
    ignored.ignored_return(second.path, destination=aside)
    assert not (second.path / "build").exists()
    await worktree.worktree_discard(repository, path=second.path)
    third = await worktree.worktree_create(repository, path=second.path, base="HEAD")
    ignored.ignored_bring_back(third, source=aside)
    assert {"build/a", "build/b", "one.log", "two.log"} <= held(third.path)


@pytest.mark.parametrize("at", range(10))
async def test_wherever_bringing_back_or_returning_is_interrupted_nothing_is_lost(
    made, repository, tmp_path, monkeypatch, at
):
    """A daemon may die before any of the renames; the next one returns what is there."""
    aside, second = await aside_with(made, repository, tmp_path)
    rename, left = Path.rename, [at]

    def die(path, target):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return rename(path, target)

    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(Path, "rename", die)
        ignored.ignored_bring_back(second, source=aside)
        ignored.ignored_return(second.path, destination=aside)
    ignored.ignored_return(second.path, destination=aside)
    await worktree.worktree_discard(repository, path=second.path)
    third = await worktree.worktree_create(repository, path=second.path, base="HEAD")
    ignored.ignored_bring_back(third, source=aside)
    assert {"build/a", "build/b", "one.log", "two.log"} <= held(third.path)


async def test_what_waits_there_already_is_not_replaced_and_what_was_brought_stays(made, repository, tmp_path):
    aside, second = await aside_with(made, repository, tmp_path)
    ignored.ignored_bring_back(second, source=aside)
    aside.mkdir()
    (aside / "0").write_text("newer")
    with pytest.raises(OSError, match="not empty"):
        ignored.ignored_return(second.path, destination=aside)
    assert (aside / "0").read_text() == "newer"
    assert len([name for name in held(tmp_path / "worktrees") if name.endswith(".log") or "brought-back/" in name]) >= 3


@pytest.mark.parametrize("at", range(5))
async def test_wherever_putting_aside_is_interrupted_doing_it_again_loses_nothing(
    made, repository, tmp_path, monkeypatch, at
):
    """A daemon may die before any of the renames or after them; its recovery puts aside again."""
    for name in ("build/a", "build/b", "one.log", "two.log"):
        (made.path / name).parent.mkdir(exist_ok=True)
        (made.path / name).write_text(name)
    rename, left = Path.rename, [at]

    def die(path, target):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return rename(path, target)

    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(Path, "rename", die)
        # In this thread: no loop survives such an end in another one.
        patched.setattr(ignored.asyncio, "to_thread", inline)
        await put_aside(made, tmp_path)
    await put_aside(made, tmp_path)
    second = await again(repository, tmp_path)
    assert {"build/a", "build/b", "one.log", "two.log"} <= held(second.path)
    assert not (tmp_path / "aside.new").exists()


async def inline(work, *arguments):
    return work(*arguments)
