"""A repository is known by what it holds, not by where it lies."""

from local_daemon.worktrees import sameness


async def test_only_commits_that_are_there_are_held(repository, tmp_path, git_in):
    run = git_in(repository)
    commit, tree = run("rev-parse", "HEAD", "HEAD^{tree}").decode().split()
    assert await sameness.commits_held(
        repository / ".git", {commit, tree, "0" * 40}, trusted_root=tmp_path / "trusted"
    ) == {commit}
    assert await sameness.commits_held(repository / ".git", (), trusted_root=tmp_path / "trusted") == frozenset()


async def test_the_references_to_results_are_held_and_no_others(repository, tmp_path, git_in):
    git_in(repository)("update-ref", "refs/ropeway/r/s/a", "HEAD")
    assert await sameness.references_held(repository / ".git", trusted_root=tmp_path / "trusted") == {
        "refs/ropeway/r/s/a"
    }
