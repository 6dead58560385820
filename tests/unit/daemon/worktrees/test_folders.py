"""A folder without git is taken as it is, byte for byte, and nothing is put into it."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local_daemon.worktrees import configuration, folders, git, worktree

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LIMITS = folders.FolderLimits()


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "notes"
    (root / "deep/er").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"one\r\ntwo\n")
    (root / "deep/er/b.bin").write_bytes(bytes(range(256)))
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("a.txt")
    (root / "odd\n\xe9 \\name").write_text("odd")
    return root


@pytest.fixture
def git_root(tmp_path):
    return tmp_path / "home/folders/one.git"


async def snapshot(folder, git_root, limits=LIMITS):
    return await folders.snapshot_take(folder, git_root=git_root, limits=limits, taken_at=NOON)


def names(root):
    return sorted(os.path.relpath(os.path.join(at, name), root) for at, _, found in os.walk(root) for name in found)


async def test_a_worktree_of_a_snapshot_is_the_folder_byte_for_byte(folder, git_root, tmp_path):
    (folder / ".gitattributes").write_text("*.txt text eol=lf\n*.bin filter=other\n")
    before = names(folder)
    commit = await snapshot(folder, git_root)
    made = await worktree.worktree_create(git_root, path=tmp_path / "worktrees/att_1", base=commit)
    assert [name for name in names(made.path) if name != ".git"] == before == names(folder)
    for name in before:
        if not (folder / name).is_symlink():
            assert (made.path / name).read_bytes() == (folder / name).read_bytes()
    assert os.readlink(made.path / "link") == "a.txt"
    assert os.access(made.path / "run.sh", os.X_OK)


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, lambda place: place.symlink_to("/dev/zero")])
async def test_what_is_put_in_the_place_of_a_folders_index_keeps_no_snapshot(folder, git_root, put):
    first = await snapshot(folder, git_root)
    (git_root / "folder-index").unlink()
    put(git_root / "folder-index")
    assert await snapshot(folder, git_root) == first


async def test_a_folder_in_the_place_of_a_folders_index_goes_without_holding_up_the_daemon(
    folder, git_root, monkeypatch
):
    await snapshot(folder, git_root)
    (git_root / "folder-index").unlink()
    (git_root / "folder-index/below").mkdir(parents=True)
    taken_away_in = []

    def tree_delete(place: Path) -> None:
        taken_away_in.append(threading.current_thread())
        shutil.rmtree(place)

    monkeypatch.setattr(folders.deletion, "tree_delete", tree_delete)
    await snapshot(folder, git_root)
    assert taken_away_in and threading.main_thread() not in taken_away_in


async def test_a_pipe_among_what_a_killed_daemon_left_is_not_waited_for(folder, git_root):
    await snapshot(folder, git_root)
    os.mkfifo(git_root.with_name("one.git.0123"))
    os.mkfifo(git_root / "ropeway-staging-0123")
    folders.leftovers_remove(git_root.parent)
    assert list(git_root.parent.glob("*.git*")) == [git_root]
    assert not (git_root / "ropeway-staging-0123").exists()


async def test_the_same_files_are_the_same_snapshot_and_others_another(folder, git_root):
    first = await snapshot(folder, git_root)
    (folder / "a.txt").touch()
    assert await snapshot(folder, git_root) == first
    (folder / "a.txt").unlink()
    second = await snapshot(folder, git_root)
    assert second != first


async def test_what_is_ignored_and_environment_files_stay_out(folder, git_root, git_in):
    (folder / ".gitignore").write_text("*.log\nbuild/\n")
    for name in ("x.log", ".env", "deep/.env.local", "prod.env", ".env.example"):
        (folder / name).write_text("K=v")
    (folder / "build").mkdir()
    (folder / "build/out").write_text("o")
    commit = await snapshot(folder, git_root)
    held = git_in(git_root)("ls-tree", "-r", "-z", "--name-only", commit).decode().split("\0")
    assert ".env.example" in held
    assert {"x.log", ".env", "deep/.env.local", "prod.env", "build/out"}.isdisjoint(held)


async def test_an_empty_folder_has_a_snapshot_too(tmp_path, git_root):
    (tmp_path / "empty").mkdir()
    assert await snapshot(tmp_path / "empty", git_root)


@pytest.mark.parametrize(
    ("limits", "said"),
    [(folders.FolderLimits(files_max=4), "files_max = 4"), (folders.FolderLimits(bytes_max=100), "bytes_max = 100")],
)
async def test_a_folder_that_holds_too_much_is_refused_before_it_is_read(folder, git_root, limits, said):
    with pytest.raises(folders.FolderRefused, match=said):
        await snapshot(folder, git_root, limits)
    assert not list((git_root / "objects").glob("??"))


async def test_repositories_inside_are_refused_by_name_unless_they_are_ignored(folder, git_root, git_in):
    inner = git_in(folder / "deep")
    inner("init", "--quiet")
    inner("add", "."), inner("commit", "--quiet", "--message", "m")
    with pytest.raises(folders.FolderRefused, match="git repositories.*deep/"):
        await snapshot(folder, git_root)
    (folder / ".gitignore").write_text("deep\n")
    assert await snapshot(folder, git_root)


async def test_files_that_became_a_repository_later_are_still_taken_as_files(folder, git_root, git_in):
    await snapshot(folder, git_root)
    inner = git_in(folder / "deep")
    inner("init", "--quiet")
    inner("add", "."), inner("commit", "--quiet", "--message", "m")
    (folder / "deep/new.txt").write_text("new")
    held = git_in(git_root)("ls-tree", "-r", "--name-only", await snapshot(folder, git_root)).decode().split()
    assert {"deep/er/b.bin", "deep/new.txt"} <= set(held)


async def test_homes_disks_and_the_daemons_own_are_not_taken_on(folder, git_root, tmp_path, monkeypatch):
    async def take_on(place, home=tmp_path / "home"):
        await folders.folder_take_on(place, git_root=git_root, home=home, limits=LIMITS)

    for place in (tmp_path, tmp_path / "home", tmp_path / "home/worktrees"):
        with pytest.raises(folders.FolderRefused, match="own home"):
            await take_on(place)
    monkeypatch.setenv("HOME", str(folder))
    with pytest.raises(folders.FolderRefused, match="whole home"):
        await take_on(folder)
    await take_on(folder / "deep")
    assert git_root.is_dir()


async def test_a_lock_that_a_killed_git_left_is_in_nobodys_way(folder, git_root):
    await snapshot(folder, git_root)
    (git_root / "folder-index.lock").touch()
    (git_root / "refs/heads/snapshots.lock").touch()
    (folder / "a.txt").write_text("other")
    assert await snapshot(folder, git_root)


_DIES = """
import asyncio, datetime, os, pathlib, signal, sys
from local_daemon.worktrees import folders, git
folder, git_root, wanted = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
real = git.git
async def killed(place, *arguments, **options):
    if wanted in arguments:
        os.kill(os.getpid(), signal.SIGKILL)
    return await real(place, *arguments, **options)
git.git = killed
now = datetime.datetime.now(datetime.UTC)
asyncio.run(folders.snapshot_take(folder, git_root=git_root, limits=folders.FolderLimits(), taken_at=now))
"""


@pytest.mark.parametrize("before", ["init", "ls-files", "add", "write-tree", "commit-tree", "update-ref"])
async def test_a_snapshot_after_a_crash_holds_the_folder_as_it_is_then_and_nothing_is_left_of_the_other(
    folder, git_root, git_in, before
):
    if before != "init":
        await snapshot(folder, git_root)
    (folder / "a.txt").write_text("between")
    died = subprocess.run([sys.executable, "-c", _DIES, str(folder), str(git_root), before], check=False)
    assert died.returncode == -signal.SIGKILL
    (folder / "a.txt").write_text("now")
    folders.leftovers_remove(git_root.parent)
    commit = await snapshot(folder, git_root)
    run = git_in(git_root)
    assert run("show", f"{commit}:a.txt") == b"now"
    assert run("rev-parse", "refs/heads/snapshots").decode().strip() == commit
    assert [path for path in git_root.parent.iterdir() if path.suffix not in (".git", ".own")] == []
    left = {path.name for path in git_root.iterdir()} - {*"HEAD config info logs objects refs folder-index".split()}
    assert left == set()
    run("fsck", "--strict")
    await snapshot(folder, git_root)


async def test_of_a_repository_where_somebody_may_still_write_nothing_is_taken_away(folder, git_root):
    await snapshot(folder, git_root)
    left = [git_root / "folder-index.0123", git_root / "packed-refs.lock"]
    for path in left:
        path.touch()
    folders.leftovers_remove(git_root.parent, busy={git_root})
    assert [path.exists() for path in left] == [True, True]
    folders.leftovers_remove(git_root.parent)
    assert [path.exists() for path in left] == [False, False]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
async def test_a_file_that_cannot_be_read_is_told(folder, git_root):
    (folder / "a.txt").chmod(0)
    with pytest.raises(folders.FolderRefused, match="can't be read"):
        await snapshot(folder, git_root)


async def test_tidying_keeps_what_attempts_kept_and_the_last_snapshot(folder, git_root, git_in, monkeypatch):
    monkeypatch.setattr(folders, "_LOOSE_OBJECTS", 1)
    git = git_in(git_root)
    for number in (32, 119, 334):  # Git counts those that begin with 17, as these do, for how many there are.
        (folder / f"{number}.txt").write_text(f"{number}")
    kept = await snapshot(folder, git_root)
    git("update-ref", "refs/ropeway/r/s/a", kept)
    (folder / "a.txt").write_text("other")
    last = await snapshot(folder, git_root)
    await folders.shadow_tidy(git_root, trusted_root=git_root.parent.with_name("trusted"))
    assert list((git_root / "objects/pack").glob("*.pack"))
    for commit in (kept, last):
        git("rev-list", "--objects", commit)
    assert await snapshot(folder, git_root) == last


async def test_a_folder_that_is_gone_is_told(tmp_path, git_root):
    with pytest.raises(folders.FolderRefused, match="gone"):
        await snapshot(tmp_path / "gone", git_root)


async def test_what_an_attempt_configures_is_never_run_on_the_folder(folder, git_root, git_in, tmp_path):
    base = await snapshot(folder, git_root)
    made = await worktree.worktree_create(git_root, path=tmp_path / "worktrees/att_1", base=base)
    git_in(made.path)("config", "filter.mine.clean", f"touch {tmp_path / 'ran'}; cat")
    (git_root / "info/attributes").write_text("* filter=mine\n")
    (folder / "a.txt").write_text("other")
    with pytest.raises(configuration.ConfigurationChanged, match="filter.mine.clean"):
        await snapshot(folder, git_root)
    assert not (tmp_path / "ran").exists()


async def test_what_is_configured_once_it_was_looked_at_is_not_run_either(folder, git_root, git_in, tmp_path):
    await snapshot(folder, git_root)
    place = await folders.folder_place(folder, git_root)
    git_in(git_root)("config", "filter.mine.clean", f"touch {tmp_path / 'ran'}; cat")
    (git_root / "info/attributes").write_text("* filter=mine\n")
    (folder / "a.txt").write_text("other")
    await git.git(place, "add", "--all")
    assert not (tmp_path / "ran").exists()
