"""What a directory is to git, and what a name in it points at."""

import os
import shutil

import pytest

from local_daemon.worktrees import git, inspection


async def test_a_repository_is_found_from_below_and_described(repository, git_in):
    facts = await inspection.repository_inspect(repository / "src")
    assert facts.root == repository.resolve()
    assert facts.head_commit == git_in(repository)("rev-parse", "HEAD").decode().strip()
    assert facts.branch == "main"


@pytest.mark.parametrize("name", ["two\nlines", "ends in one\n", "\n", "\udcff\n\N{SNOWMAN}"])
async def test_a_name_of_several_lines_is_a_name(repository, git_in, name):
    root = repository.rename(repository.with_name(name))
    facts = await inspection.repository_inspect(root / "src")
    assert (facts.root, facts.common_dir) == (root.resolve(), root.resolve() / ".git")
    assert facts.head_commit == git_in(root)("rev-parse", "HEAD").decode().strip()


async def test_uncommitted_work_and_a_detached_head_are_seen(repository, git_in):
    git_in(repository)("switch", "--quiet", "--detach")
    (repository / "new").touch()
    facts = await inspection.repository_inspect(repository)
    assert facts.branch is None


async def test_a_repository_without_a_commit_has_no_head(tmp_path, git_in):
    git_in(tmp_path)("init", "--quiet", "--initial-branch=main")
    facts = await inspection.repository_inspect(tmp_path)
    assert (facts.head_commit, facts.branch) == (None, "main")


async def test_a_bare_repository_is_its_own_root(tmp_path, git_in):
    git_in(tmp_path)("init", "--quiet", "--bare")
    facts = await inspection.repository_inspect(tmp_path)
    assert (facts.root, facts.common_dir) == (tmp_path.resolve(), tmp_path.resolve())


async def test_other_object_formats_work(tmp_path, git_in):
    git_in(tmp_path)("init", "--quiet", "--object-format=sha256")
    (tmp_path / "a").touch()
    git_in(tmp_path)("add", "a")
    git_in(tmp_path)("commit", "--quiet", "--message", "m")
    facts = await inspection.repository_inspect(tmp_path)
    assert facts.head_commit is not None and len(facts.head_commit) == 64


@pytest.mark.parametrize("place", ["plain", "gone"])
async def test_what_is_no_repository_is_refused_without_naming_its_directory(tmp_path, place):
    (tmp_path / "plain").mkdir()
    with pytest.raises(inspection.NotARepository) as raised:
        await inspection.repository_inspect(tmp_path / place)
    assert str(tmp_path) not in str(raised.value)


@pytest.mark.parametrize("place", [".git", ".git/objects"])
async def test_a_folder_within_the_git_directory_is_no_place_to_work_in(repository, place):
    with pytest.raises(inspection.NotARepository):
        await inspection.repository_inspect(repository / place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
async def test_a_repository_of_another_user_is_refused(repository):
    os.chown(repository / ".git", 12345, 12345)
    os.chown(repository, 12345, 12345)
    with pytest.raises(inspection.NotARepository, match="dubious ownership"):
        await inspection.repository_inspect(repository)


async def test_branches_tags_and_short_commits_are_resolved(repository, git_in):
    run = git_in(repository)
    run("tag", "--annotate", "v1", "--message", "v1")
    head = run("rev-parse", "HEAD").decode().strip()
    for name in ("HEAD", "main", "v1", head[:10]):
        revision = await inspection.revision_resolve(repository, name, trusted_root=repository.parent / "trusted")
        assert revision.commit == head
        assert revision.tree == run("rev-parse", "HEAD^{tree}").decode().strip()


@pytest.mark.parametrize("name", ["nothing", "", "--all", "-n", "HEAD^{blob}", "main\nmain", "README", "main..v1"])
async def test_an_unknown_name_is_refused(repository, name):
    with pytest.raises(inspection.UnknownRevision):
        await inspection.revision_resolve(repository, name, trusted_root=repository.parent / "trusted")


@pytest.mark.parametrize("name", ["HEAD", "refs/heads/main", "config", "packed-refs", "commondir"])
async def test_where_git_would_wait_for_a_pipe_that_is_said_at_once(repository, name):
    (repository / ".git" / name).unlink(missing_ok=True)
    os.mkfifo(repository / ".git" / name)
    with pytest.raises(inspection.NotARepository, match=f"{name.split('/')[-1]}: not a file"):
        await inspection.repository_inspect(repository / "src")


@pytest.mark.parametrize(
    ("place", "name"),
    [("HEAD", "HEAD"), ("refs/heads/main", "HEAD~0"), ("refs/heads/main", "main"), ("packed-refs", "main"),
     ("refs/tags/v1", "v1"), ("ORIG_HEAD", "ORIG_HEAD")],
)  # fmt: skip
async def test_a_name_for_which_git_would_wait_is_refused_at_once(repository, place, name):
    (repository / ".git" / place).unlink(missing_ok=True)
    os.mkfifo(repository / ".git" / place)
    with pytest.raises(inspection.UnknownRevision) as raised:
        await inspection.revision_resolve(repository, name, trusted_root=repository.parent / "trusted")
    assert not isinstance(raised.value.__cause__, git.GitTimedOut)


async def test_a_repository_whose_git_directory_leads_elsewhere_is_refused(repository, tmp_path):
    shutil.copytree(repository / ".git", tmp_path / "elsewhere")
    (repository / ".git/commondir").write_text(f"{tmp_path / 'elsewhere'}\n")
    with pytest.raises(inspection.NotARepository, match="leads git elsewhere"):
        await inspection.repository_inspect(repository)
