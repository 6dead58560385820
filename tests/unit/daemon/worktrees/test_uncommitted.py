"""What the operator has not committed: counted, never touched, and never at the cost of running what it holds."""

import os
import shutil

import pytest

from local_daemon.protocol import specs
from local_daemon.worktrees import uncommitted, worktree


async def beside(repository, tmp_path, name="att_1"):
    made = await worktree.worktree_create(repository, path=tmp_path / "worktrees" / name, base="HEAD")
    return await uncommitted.uncommitted_beside(made, repository_root=repository)


async def in_checkout(root, tmp_path):
    return await uncommitted.uncommitted_in(root, trusted_root=tmp_path / "trusted")


def counts(changed=0, untracked=0):
    return specs.Uncommitted(changed=changed, untracked=untracked)


async def test_a_clean_checkout_holds_nothing_beside_its_commit(repository, tmp_path):
    assert await beside(repository, tmp_path) == counts()
    assert await in_checkout(repository, tmp_path) == counts()


async def test_edits_staged_or_not_deletions_and_new_files_are_counted_and_ignored_ones_are_not(
    repository, tmp_path, git_in
):
    (repository / "README").write_text("other\n")
    (repository / "src/a.py").unlink()
    (repository / "staged.py").write_text("s\n")
    git_in(repository)("add", "staged.py")
    (repository / "new\nline.py").write_text("n\n")
    (repository / "folder").mkdir()
    for number in range(3):
        (repository / f"folder/{number}").write_text("n\n")
    (repository / "noise.log").write_text("n\n")
    assert await beside(repository, tmp_path) == counts(changed=3, untracked=2)
    assert await in_checkout(repository, tmp_path) == counts(changed=3, untracked=2)


async def test_a_file_that_was_only_touched_is_no_change(repository, tmp_path):
    content = (repository / "README").read_bytes()
    (repository / "README").unlink()
    (repository / "README").write_bytes(content)
    assert await beside(repository, tmp_path) == counts()


async def test_looking_writes_nothing_into_the_checkout_or_its_git_directory(repository, tmp_path):
    (repository / "README").touch()
    before = (repository / ".git/index").stat()
    await beside(repository, tmp_path)
    after = (repository / ".git/index").stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


async def test_it_is_the_same_in_a_checkout_that_is_itself_a_worktree(repository, tmp_path, git_in):
    other = tmp_path / "other"
    git_in(repository)("worktree", "add", "--quiet", str(other))
    (other / "README").write_text("other\n")
    assert await beside(other, tmp_path) == counts(changed=1)
    assert await beside(repository, tmp_path, "att_2") == counts()


async def test_a_bare_repository_has_no_checkout(repository, tmp_path, git_in):
    bare = tmp_path / "bare.git"
    git_in(tmp_path)("clone", "--quiet", "--bare", str(repository), str(bare))
    assert await beside(bare, tmp_path) is None
    assert await in_checkout(bare, tmp_path) is None


async def test_a_filter_that_came_after_the_attempt_began_is_not_run(repository, tmp_path, git_in):
    made = await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_1", base="HEAD")
    ran = tmp_path / "ran"
    git_in(repository)("config", "filter.evil.clean", f"touch {ran}; cat")
    (repository / ".git/info/attributes").write_text("* filter=evil\n")
    (repository / "README").write_text("other\n")
    assert await uncommitted.uncommitted_beside(made, repository_root=repository) == counts(changed=1)
    assert await in_checkout(repository, tmp_path) is None
    assert not ran.exists()


async def test_where_git_cannot_tell_nobody_knows(repository, tmp_path, monkeypatch):
    made = await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_1", base="HEAD")
    (repository / "README").write_text("other\n")
    with monkeypatch.context() as patched:
        patched.setattr(uncommitted, "_OUTPUT_BYTES_MAX", 0)
        assert await uncommitted.uncommitted_beside(made, repository_root=repository) is None
    shutil.rmtree(repository / ".git")
    assert await uncommitted.uncommitted_beside(made, repository_root=repository) is None


@pytest.mark.parametrize("of", ["missing", "file"])
async def test_a_folder_that_is_no_checkout_is_not_known(tmp_path, of):
    (tmp_path / "file").write_text("")
    assert await in_checkout(tmp_path / of, tmp_path) is None


async def test_a_pipe_in_the_place_of_the_index_is_not_waited_for(repository, tmp_path, made, monkeypatch):
    (repository / ".git/index").unlink()
    os.mkfifo(repository / ".git/index")

    async def none(*_, **__):
        raise AssertionError("git was sent to wait")

    monkeypatch.setattr(uncommitted, "_read", none)
    assert await uncommitted.uncommitted_beside(made, repository_root=repository) is None
    assert await in_checkout(repository, tmp_path) is None
