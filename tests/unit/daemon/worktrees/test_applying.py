"""A branch that is checked out somewhere moves together with its files, however git was told of the checkout."""

import os
from datetime import UTC, datetime

import pytest

from local_daemon.worktrees import applying, git, references

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def apply_to(repository, tmp_path, git_in):
    """Bring a change of the README to a branch, as asked from a folder."""
    run = git_in(repository)
    (repository / "README").write_text("result\n")
    result = run("stash", "create").decode().strip()
    run("checkout", "--quiet", "README")
    run("update-ref", "refs/heads/result", result)
    base = run("rev-parse", "HEAD").decode().strip()

    async def apply(root, branch):
        options = {"trusted_root": tmp_path / "trusted"}
        plan = await applying.application_plan(
            root, mode=applying.Mode.MERGE, branch=branch, base_commit=base, head_commit=result, message="m", at=NOON,
            **options,
        )  # fmt: skip
        await applying.application_carry_out(root, plan, **options)

    return apply


def spaced(head):
    head.write_text(f"ref:\t{head.read_text().removeprefix('ref:').strip()}\n")


def linked(head):
    """As git made it long ago, and still does where it is told to (`core.preferSymlinkRefs`)."""
    branch = head.read_text().removeprefix("ref:").strip()
    head.unlink()
    os.symlink(branch, head)


def plain(head):
    pass


@pytest.mark.parametrize("written", [plain, spaced, linked])
async def test_the_files_of_a_checkout_follow_its_branch(repository, apply_to, git_in, written):
    written(repository / ".git/HEAD")
    await apply_to(repository, "main")
    assert (repository / "README").read_text() == "result\n"
    assert git_in(repository)("status", "--porcelain") == b""


@pytest.mark.parametrize("where", ["here", "beside"])
async def test_the_files_follow_also_where_no_head_says_its_branch(
    repository, tmp_path, apply_to, git_in, monkeypatch, where
):
    """Beside tables of references every `HEAD` says `refs/heads/.invalid`; this git may be too old to make them."""
    git_in(repository)("worktree", "add", "--quiet", "-b", "beside", str(tmp_path / "beside"))
    with open(repository / ".git/config", "a") as file:
        file.write("# refStorage = reftable\n")
    assert references.keeps_tables(repository / ".git")
    monkeypatch.setattr(applying, "_branch_said", lambda git_dir: "refs/heads/.invalid")
    folder, branch = (repository, "main") if where == "here" else (tmp_path / "beside", "beside")
    await apply_to(repository, branch)
    assert (folder / "README").read_text() == "result\n"
    assert git_in(folder)("status", "--porcelain") == b""


@pytest.mark.parametrize("asked_at", ["main", "beside"])
async def test_the_files_of_a_submodule_follow_its_branch(repository, tmp_path, apply_to, git_in, asked_at):
    outer = tmp_path / "outer"
    outer.mkdir()
    git_in(outer)("init", "--quiet")
    git_in(outer)("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository), "below/sub")
    inner = outer / "below/sub"
    git_in(inner)("fetch", "--quiet", str(repository), "refs/heads/result")
    git_in(inner)("worktree", "add", "--quiet", "-b", "beside", str(tmp_path / "beside"))
    await apply_to(inner if asked_at == "main" else tmp_path / "beside", "main")
    await apply_to(inner if asked_at == "main" else tmp_path / "beside", "beside")
    for folder in (inner, tmp_path / "beside"):
        assert (folder / "README").read_text() == "result\n"
        assert git_in(folder)("status", "--porcelain") == b""


async def test_no_git_that_writes_a_persons_files_is_ended_over_a_pipe(repository, apply_to, monkeypatch):
    ended, real = [], git.git

    async def noted(place, *arguments, seeks_pipes=True, **options):
        if arguments[0] == "read-tree" and place.directory == repository:
            ended.append(seeks_pipes)
        return await real(place, *arguments, seeks_pipes=seeks_pipes, **options)

    monkeypatch.setattr(git, "git", noted)
    await apply_to(repository, "main")
    assert ended == [False]


@pytest.fixture
def put_elsewhere(repository, tmp_path, git_in):
    """The repository, whose git directory lies elsewhere, with a further checkout."""
    git_in(repository)("init", "--quiet", "--separate-git-dir", str(tmp_path / "elsewhere"))
    git_in(repository)("worktree", "add", "--quiet", "-b", "beside", str(tmp_path / "beside"))
    return repository


async def test_the_files_follow_where_the_git_directory_lies_elsewhere(put_elsewhere, tmp_path, apply_to, git_in):
    await apply_to(put_elsewhere, "main")
    await apply_to(put_elsewhere, "beside")
    for folder in (put_elsewhere, tmp_path / "beside"):
        assert (folder / "README").read_text() == "result\n"
        assert git_in(folder)("status", "--porcelain") == b""


async def test_a_checkout_that_its_git_directory_does_not_name_is_to_be_applied_from(
    put_elsewhere, tmp_path, apply_to, git_in
):
    await apply_to(tmp_path / "beside", "beside")
    with pytest.raises(applying.Refused, match="doesn't say where that is; apply from there"):
        await apply_to(tmp_path / "beside", "main")
    assert git_in(put_elsewhere)("status", "--porcelain") == b""


async def test_a_bare_repository_with_settings_for_each_checkout_is_no_checkout(repository, tmp_path, apply_to, git_in):
    git_in(tmp_path)("clone", "--quiet", "--bare", str(repository), "it.git")
    run = git_in(tmp_path / "it.git")
    run("config", "extensions.worktreeConfig", "true")
    run("config", "--unset", "core.bare")
    run("config", "--file", "config.worktree", "core.bare", "true")
    run("worktree", "add", "--quiet", str(tmp_path / "main"), "main")
    await apply_to(tmp_path / "main", "main")
    assert (tmp_path / "main/README").read_text() == "result\n"
    assert git_in(tmp_path / "main")("status", "--porcelain") == b""
