"""Spare checkouts: clean and at the wanted commit, or not used; and never a worktree that a person would see."""

import os
from datetime import UTC, datetime

import pytest

from local_daemon.worktrees import changes, pool, worktree

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
async def spares(tmp_path):
    made = pool.Pool(tmp_path / "spares", worth_s=0)
    yield made
    await made.close()


@pytest.fixture
async def filled(repository, tmp_path, spares):
    """The pool, after a first attempt has left a spare for the next."""
    await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_0", base="HEAD", spares=spares)
    spares.fill()
    await spares.settle()
    return spares


def forged(path):
    """Other content of the same length, with the time it had."""
    before = path.stat()
    path.write_text("one\ntwo\nthref\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


async def create(repository, tmp_path, filled):
    return await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_1", base="HEAD", spares=filled)


def spare_folders(tmp_path):
    return [folder for life in (tmp_path / "spares").iterdir() for folder in life.iterdir()]


async def test_a_worktree_from_a_spare_is_like_any_other(repository, tmp_path, filled, git_in):
    (folder,) = spare_folders(tmp_path)
    inode = (folder / "tree/README").stat().st_ino
    made = await create(repository, tmp_path, filled)
    assert (made.path / "README").stat().st_ino == inode
    assert git_in(made.path)("status", "--porcelain", "--ignored") == b""
    (made.path / "README").write_text("changed\n")
    taken = await changes.changes_capture(made, ref="refs/ropeway/r/s/a", message="m", captured_at=NOON)
    assert [file.path for file in taken.files] == ["README"]
    await changes.worktree_remove(made, recorded_tree=taken.tree)
    assert not made.path.exists()
    git_in(repository)("fsck", "--strict")


async def test_a_spare_is_no_worktree_that_a_person_sees(repository, tmp_path, filled, worktrees_of):
    listed = worktrees_of(repository)
    assert len(spare_folders(tmp_path)) == 1
    assert [entry.path for entry in listed] == [repository, tmp_path / "worktrees/att_0"]


async def test_a_spare_is_brought_to_the_commit_that_is_wanted(repository, tmp_path, filled, git_in):
    git = git_in(repository)
    git("rm", "--quiet", "src/a.py")
    (repository / "src/new.py").write_text("new\n")
    git("add", ".")
    git("commit", "--quiet", "--message", "moved on")
    made = await create(repository, tmp_path, filled)
    assert spare_folders(tmp_path) == []
    assert sorted(os.listdir(made.path / "src")) == ["b.bin", "new.py"]
    assert git_in(made.path)("status", "--porcelain", "--ignored") == b""


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tree: (tree / "README").write_text("one\ntwo\nthree!\n"),
        lambda tree: (tree / "README").unlink(),
        lambda tree: (tree / "trace.log").write_text("ignored by the repository"),
        lambda tree: (tree / "build").mkdir(),
        lambda tree: (tree / "src/extra.py").write_text("new"),
        lambda tree: (tree / "src/a.py").chmod(0o755),
        lambda tree: (tree / "src/.git").mkdir(),
        lambda tree: (tree / ".git").mkdir(),
        lambda tree: forged(tree / "README"),
    ],
    ids=["changed", "deleted", "ignored", "empty folder", "new", "mode", "nested git", "git", "forged"],
)
async def test_a_spare_that_is_not_clean_is_thrown_away(repository, tmp_path, filled, git_in, spoil):
    (folder,) = spare_folders(tmp_path)
    spoil(folder / "tree")
    made = await create(repository, tmp_path, filled)
    assert not folder.exists()
    assert git_in(made.path)("status", "--porcelain", "--ignored") == b""
    assert not (made.path / "build").exists()
    assert (made.path / "README").read_text() == "one\ntwo\nthree\n"
    assert (made.path / ".git").is_file()
    assert not (made.path / "src/.git").exists()


async def test_a_spare_is_verified_whatever_the_repository_tells_git_to_overlook(repository, tmp_path, spares, git_in):
    for name, value in (("core.ignoreStat", "true"), ("core.trustCtime", "false"), ("core.checkStat", "minimal")):
        git_in(repository)("config", name, value)
    await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_0", base="HEAD", spares=spares)
    spares.fill()
    await spares.settle()
    (folder,) = spare_folders(tmp_path)
    forged(folder / "tree/README")
    made = await create(repository, tmp_path, spares)
    assert (made.path / "README").read_text() == "one\ntwo\nthree\n"


async def test_a_spare_whose_attributes_have_changed_since_is_written_anew(repository, tmp_path, filled, git_in):
    """Files that are the same in both commits are others on the disk."""
    (repository / "src/.gitattributes").write_text("*.py text eol=crlf\n")
    git_in(repository)("add", ".")
    git_in(repository)("commit", "--quiet", "--message", "line endings")
    made = await create(repository, tmp_path, filled)
    assert (made.path / "src/a.py").read_bytes().startswith(b"line 0\r\n")


async def test_spares_go_where_their_room_is_needed(tmp_path, filled):
    await filled.let_go()
    assert spare_folders(tmp_path) == []


async def test_a_spare_of_another_configuration_is_thrown_away(repository, tmp_path, spares, git_in):
    first = await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_0", base="HEAD", spares=spares)
    spares.fill()
    await spares.settle()
    await worktree.worktree_discard(repository, path=first.path)
    del first
    git_in(repository)("config", "core.eol", "crlf")
    git_in(repository)("config", "core.autocrlf", "true")
    made = await create(repository, tmp_path, spares)
    assert (made.path / "README").read_bytes() == b"one\r\ntwo\r\nthree\r\n"


async def test_a_checkout_that_is_made_fast_keeps_no_spare(repository, tmp_path):
    quick = pool.Pool(tmp_path / "spares", worth_s=600)
    await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_0", base="HEAD", spares=quick)
    quick.fill()
    await quick.settle()
    assert not (tmp_path / "spares").exists()


async def test_nothing_is_left_of_spares_when_the_daemon_stops_nor_of_an_earlier_life(tmp_path, filled):
    await filled.close()
    assert list((tmp_path / "spares").iterdir()) == []
    (tmp_path / "spares/crashed/1/tree").mkdir(parents=True)
    pool.Pool(tmp_path / "spares").leftovers_remove()
    assert list((tmp_path / "spares").iterdir()) == []
