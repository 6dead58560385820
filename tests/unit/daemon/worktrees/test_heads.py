"""What is checked out is known without a process where git's own files say it plainly, and asked of git elsewhere."""

import os

import pytest

from local_daemon.worktrees import git, heads, inspection


@pytest.fixture
def head(repository, git_in):
    """What git itself says."""
    return lambda root=repository: git_in(root)("rev-parse", "HEAD").decode().strip()


@pytest.fixture
def read(repository):
    """What the files say."""
    return lambda: heads.head_read(repository / ".git", common_dir=repository / ".git")


def commit(run):
    run("commit", "--quiet", "--allow-empty", "--message", "another")


def test_a_branch_and_a_commit_that_are_checked_out_are_read(repository, git_in, head, read):
    run = git_in(repository)
    assert read() == head()
    commit(run)
    assert read() == head()
    run("switch", "--quiet", "--create", "feature/one.two@three")
    commit(run)
    assert read() == head()
    run("switch", "--quiet", "--detach", "main")
    assert read() == head()


def test_a_checkout_of_its_own_has_a_head_of_its_own(repository, tmp_path, git_in, head):
    git_in(repository)("worktree", "add", "--quiet", "-b", "aside", str(tmp_path / "aside"))
    commit(git_in(tmp_path / "aside"))
    common_dir = repository / ".git"
    assert heads.head_read(common_dir / "worktrees/aside", common_dir=common_dir) == head(tmp_path / "aside")
    assert head(tmp_path / "aside") != head()


def test_what_is_not_said_plainly_is_left_to_git(repository, git_in, head, read):
    run, own = git_in(repository), repository / ".git"
    run("pack-refs", "--all")
    assert read() is None
    commit(run)
    assert read() == head()
    for said in ("ref: refs/heads/../../elsewhere\n", "ref: refs/heads/.invalid\n", "ref: refs/remotes/a\n", "1234\n"):
        (own / "HEAD").write_text(said)
        assert read() is None
    (own / "HEAD").write_text("ref: refs/heads/main\n")
    run("symbolic-ref", "refs/heads/other", "refs/heads/main")
    (own / "HEAD").write_text("ref: refs/heads/other\n")
    assert read() is None
    (own / "HEAD").write_text("ref: refs/heads/unborn\n")
    assert read() is None


@pytest.mark.parametrize("name", ["commondir", "reftable"])
def test_references_that_are_kept_elsewhere_are_left_to_git(repository, read, name):
    (repository / ".git" / name).mkdir()
    assert read() is None


async def test_of_what_is_checked_out_git_is_asked_once(repository, git_in, head, monkeypatch):
    run = git_in(repository)
    first = await inspection.revision_resolve(repository, "HEAD", trusted_root=repository.parent / "trusted")
    commit(run)
    second = await inspection.revision_resolve(repository, "HEAD", trusted_root=repository.parent / "trusted")
    assert (first.commit != second.commit, second.commit) == (True, head())

    async def none(*_, **__):
        raise AssertionError("git was asked")

    monkeypatch.setattr(git, "git", none)
    assert await inspection.revision_resolve(repository, "HEAD", trusted_root=repository.parent / "trusted") == second
    run("reset", "--quiet", "--hard", "HEAD~1")
    assert await inspection.revision_resolve(repository, "HEAD", trusted_root=repository.parent / "trusted") == first


async def test_a_head_without_a_commit_is_refused_also_after_there_was_one(repository, git_in):
    await inspection.revision_resolve(repository, "HEAD", trusted_root=repository.parent / "trusted")
    git_in(repository)("switch", "--quiet", "--orphan", "empty")
    with pytest.raises(inspection.UnknownRevision):
        await inspection.revision_resolve(repository, "HEAD", trusted_root=repository.parent / "trusted")


async def test_a_commit_that_is_named_is_looked_for_each_time(repository, git_in):
    """Only what is checked out is there for certain: git keeps nothing that is reached no more."""
    gone = (await inspection.revision_resolve(repository, "HEAD", trusted_root=repository.parent / "trusted")).commit
    git_in(repository)("commit", "--quiet", "--amend", "--allow-empty", "--message", "instead")
    git_in(repository)("reflog", "expire", "--expire=all", "--all")
    git_in(repository)("prune", "--expire=now")
    with pytest.raises(inspection.UnknownRevision):
        await inspection.revision_resolve(repository, gone, trusted_root=repository.parent / "trusted")


@pytest.mark.parametrize("name", ["HEAD", "refs/heads/main"])
def test_a_pipe_that_stands_there_is_not_waited_for(repository, read, name):
    (repository / ".git" / name).unlink()
    os.mkfifo(repository / ".git" / name)
    assert read() is None
