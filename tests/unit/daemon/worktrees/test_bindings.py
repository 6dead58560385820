"""A repository is the one that was made known, whatever stands in the place of its `.git`."""

import os
import shutil

import pytest

from local_daemon.worktrees import bindings, worktree


@pytest.fixture
def bound(repository):
    bindings.bind(repository, bindings.binding_of(repository))
    yield repository
    bindings.bind(repository, None)


def pointer(root, elsewhere):
    (root / ".git").rename(root / "aside")
    (root / ".git").write_text(f"gitdir: {elsewhere}\n")


def link(root, elsewhere):
    (root / ".git").rename(root / "aside")
    (root / ".git").symlink_to(elsewhere)


def bare(root, elsewhere):
    (root / ".git").rename(root / "aside")
    shutil.copytree(elsewhere, root, dirs_exist_ok=True)


@pytest.mark.parametrize("exchange", [pointer, link, bare])
async def test_what_stands_in_the_place_of_its_git_directory_is_not_followed(bound, tmp_path, exchange):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(bound / ".git", elsewhere)
    exchange(bound, elsewhere)
    with pytest.raises(bindings.RepositoryDiverted, match="ropeway repository relocate"):
        bindings.common_dir_find(bound)
    with pytest.raises(bindings.RepositoryDiverted):
        await worktree.worktree_create(bound, path=tmp_path / "worktrees/att_1", base="HEAD")
    assert not (elsewhere / "worktrees").exists()
    bindings.bind(bound, bindings.binding_of(bound))
    assert bindings.common_dir_find(bound) in (elsewhere.resolve(), bound.resolve())


@pytest.mark.parametrize("gone", ["folder", "git directory"])
async def test_one_that_is_not_there_any_more_is_told_so(bound, tmp_path, gone):
    place = bound if gone == "folder" else bound / ".git"
    place.rename(tmp_path / "moved")
    with pytest.raises(bindings.RepositoryNotThere, match="moved, renamed or gone") as raised:
        await worktree.worktree_create(bound, path=tmp_path / "worktrees/att_1", base="HEAD")
    assert str(tmp_path) not in str(raised.value)


def test_one_that_was_moved_as_a_whole_is_bound_as_before(bound, tmp_path):
    before = bindings.binding_of(bound)
    bound.rename(tmp_path / "moved")
    assert bindings.binding_of(tmp_path / "moved") == before == ".git"


async def test_a_checkout_of_its_own_and_a_submodule_are_bound_to_where_they_belong(repository, tmp_path, git_in):
    git_in(repository)("worktree", "add", "--quiet", "-b", "aside", str(tmp_path / "aside"))
    assert bindings.common_dir_find(tmp_path / "aside") == (repository / ".git").resolve()
    assert bindings.binding_of(tmp_path / "aside") == str((repository / ".git").resolve())
    run = git_in(repository)
    run("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository), "sub")
    assert bindings.binding_of(repository / "sub") == str((repository / ".git/modules/sub").resolve())


def loop(root):
    (root / "loop").symlink_to("loop")
    (root / ".git").write_text("gitdir: loop\n")


@pytest.mark.parametrize(
    "wrote", [loop, b"gitdir: a\0b\n", b"gitdir: " + b"a" * 5000, b"gitdir: /" + b"a/" * 3000 + b"worktrees/b"]
)
def test_what_is_no_path_in_the_place_of_its_git_directory_leads_nowhere(bound, tmp_path, wrote):
    (bound / ".git").rename(tmp_path / "aside")
    wrote(bound) if callable(wrote) else (bound / ".git").write_bytes(wrote)
    with pytest.raises(bindings.RepositoryNotThere):
        bindings.common_dir_find(bound)


@pytest.mark.skipif(os.geteuid() == 0, reason="root looks everywhere")
def test_one_where_nobody_may_look_is_not_there(bound, tmp_path):
    tmp_path.chmod(0)
    try:
        with pytest.raises(bindings.RepositoryNotThere):
            bindings.common_dir_find(bound)
    finally:
        tmp_path.chmod(0o700)
