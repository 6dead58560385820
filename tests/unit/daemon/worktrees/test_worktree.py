"""Worktrees: made apart from the person's checkout, listed, adopted, taken away."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from local_daemon.worktrees import changes, deletion, git, inspection, worktree

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def test_a_worktree_has_the_files_of_its_base_on_no_branch(made, repository, git_in):
    run = git_in(made.path)
    assert (made.path / "src/a.py").read_bytes() == (repository / "src/a.py").read_bytes()
    assert run("status", "--porcelain") == b""
    assert run("rev-parse", "HEAD").decode().strip() == made.base_commit
    assert run("branch", "--show-current") == b""


async def test_uncommitted_work_of_the_person_stays_where_it_is(repository, tmp_path):
    (repository / "README").write_text("in progress\n")
    made = await worktree.worktree_create(repository, path=tmp_path / "w/1", base="main")
    assert (made.path / "README").read_text() == "one\ntwo\nthree\n"
    assert (repository / "README").read_text() == "in progress\n"


async def test_a_worktree_is_listed_as_ours_and_survives_a_prune(made, repository, git_in, tmp_path, worktrees_of):
    made.path.rename(tmp_path / "away")
    git_in(repository)("worktree", "prune", "--expire=now")
    (tmp_path / "away").rename(made.path)
    main, ours = worktrees_of(repository)
    assert (main.path, main.locked) == (repository, None)
    assert (ours.path, ours.locked, ours.head_commit) == (made.path, "ropeway", made.base_commit)


async def test_an_unknown_base_is_a_typed_error_and_makes_nothing(repository, tmp_path):
    with pytest.raises(inspection.UnknownRevision):
        await worktree.worktree_create(repository, path=tmp_path / "w/1", base="nothing")
    assert not (tmp_path / "w/1").exists()


async def test_a_place_that_is_taken_is_an_error(made, repository):
    with pytest.raises(worktree.WorktreePlaceTaken) as raised:
        await worktree.worktree_create(repository, path=made.path, base="HEAD")
    assert str(made.path.parent) not in str(raised.value)
    assert (made.path / "README").exists()


async def test_only_what_the_repository_knows_is_adopted(repository, tmp_path, made):
    with pytest.raises(worktree.WorktreeMissing):
        await worktree.worktree_adopt(repository, path=tmp_path / "elsewhere", base_commit="HEAD")
    adopted = await worktree.worktree_adopt(repository, path=made.path, base_commit=made.base_commit)
    assert adopted == made


@pytest.mark.parametrize("damage", ["none", "no directory", "no git file", "no administration", "write-protected"])
async def test_discarding_takes_away_whatever_is_there(made, repository, damage, git_in, worktrees_of):
    match damage:
        case "no directory":
            deletion.tree_delete(made.path)
        case "no git file":
            (made.path / ".git").unlink()
        case "no administration":
            deletion.tree_delete(made.git_dir)
        case "write-protected":
            (made.path / ".git").unlink()
            (made.path / "src").chmod(0o500)
    await worktree.worktree_discard(repository, path=made.path)
    assert not made.path.exists()
    assert not made.git_dir.exists()
    assert len(worktrees_of(repository)) == 1
    await worktree.worktree_discard(repository, path=made.path)


async def test_a_bare_repository_gives_worktrees_too(repository, tmp_path, git_in):
    bare = tmp_path / "bare.git"
    git_in(tmp_path)("clone", "--quiet", "--bare", str(repository), str(bare))
    made = await worktree.worktree_create(bare, path=tmp_path / "w/1", base="main")
    assert (made.path / "README").exists()
    await worktree.worktree_discard(bare, path=made.path)
    assert not made.path.exists()


async def test_git_itself_finds_nothing_wrong_with_a_worktree_of_ours(made, repository, git_in, worktrees_of):
    assert git_in(repository)("fsck", "--strict") == b""
    run = git_in(made.path)
    run("switch", "--quiet", "--create", "topic")
    (made.path / "README").write_text("x\n")
    run("commit", "--quiet", "--all", "--message", "m")
    run("stash", "list")
    assert b"topic" in git_in(repository)("worktree", "list", "--porcelain")
    git_in(repository)("worktree", "unlock", str(made.path))
    git_in(repository)("worktree", "remove", "--force", str(made.path))
    assert len(worktrees_of(repository)) == 1


async def test_two_places_with_the_same_last_name_are_two_worktrees(repository, tmp_path, worktrees_of):
    one = await worktree.worktree_create(repository, path=tmp_path / "one/att 1é", base="HEAD")
    two = await worktree.worktree_create(repository, path=tmp_path / "two/att 1é", base="HEAD")
    assert one.git_dir != two.git_dir
    await worktree.worktree_discard(repository, path=one.path)
    assert [entry.path for entry in worktrees_of(repository)] == [repository, two.path]


async def test_a_sparse_checkout_is_sparse_in_the_worktree_too(repository, tmp_path, git_in, worktrees_of):
    git_in(repository)("sparse-checkout", "set", "--cone", "src")
    (repository / "other").mkdir()
    (repository / "other/file").touch()
    git_in(repository)("add", "--sparse", "other/file")
    git_in(repository)("commit", "--quiet", "--message", "other")
    made = await worktree.worktree_create(repository, path=tmp_path / "w/1", base="HEAD")
    assert (made.path / "src/a.py").exists()
    assert not (made.path / "other").exists()
    adopted = await worktree.worktree_adopt(repository, path=made.path, base_commit=made.base_commit)
    assert adopted == made
    await worktree.worktree_discard(repository, path=made.path)
    assert len(worktrees_of(repository)) == 1


async def test_a_checkout_that_fails_leaves_nothing(repository, tmp_path, git_in, worktrees_of):
    run = git_in(repository)
    blob = run("rev-parse", "HEAD:README").decode().strip()
    (repository / f".git/objects/{blob[:2]}/{blob[2:]}").unlink()
    before = sorted((repository / ".git").iterdir())
    with pytest.raises(git.GitFailed):
        await worktree.worktree_create(repository, path=tmp_path / "w/1", base="HEAD")
    assert not (tmp_path / "w/1").exists()
    assert [path for path in sorted((repository / ".git").iterdir()) if path.name != "worktrees"] == before
    assert len(worktrees_of(repository)) == 1


_DAEMON_THAT_DIES = """
import asyncio, os, pathlib, signal, sys
from local_daemon.worktrees import worktree
pathlib.Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
root, path = map(pathlib.Path, sys.argv[1:])
asyncio.run(worktree.worktree_create(root, path=path, base="HEAD"))
"""


async def test_what_a_crash_before_the_registration_left_is_discarded_with_the_place(repository, tmp_path):
    path = tmp_path / "w/1"
    daemon = subprocess.run([sys.executable, "-c", _DAEMON_THAT_DIES, str(repository), str(path)], check=False)
    assert daemon.returncode == -signal.SIGKILL
    assert list((repository / ".git").glob("ropeway-*"))
    await worktree.worktree_discard(repository, path=path)
    assert not list((repository / ".git").glob("ropeway-*"))
    await worktree.worktree_create(repository, path=path, base="HEAD")


async def test_the_repository_itself_is_never_discarded(repository):
    for path in (repository, repository.parent):
        with pytest.raises(ValueError, match="the repository itself"):
            await worktree.worktree_discard(repository, path=path)
    assert (repository / "README").exists()


async def test_git_makes_one_worktree_of_a_repository_at_a_time_by_whatever_root_it_is_known(
    repository, tmp_path, git_in, monkeypatch
):
    """Two `git worktree add` at once trip over each other, also from two of the repository's own worktrees."""
    git_in(repository)("worktree", "add", "--quiet", "--detach", str(tmp_path / "other"))
    git_in(repository)("sparse-checkout", "set", "--no-cone", "/*")
    running, most, real = [0], [0], git.git

    async def counted(place, *arguments, **options):
        if arguments[:2] != ("worktree", "add"):
            return await real(place, *arguments, **options)
        running[0] += 1
        most[0] = max(most[0], running[0])
        try:
            return await real(place, *arguments, **options)
        finally:
            running[0] -= 1

    monkeypatch.setattr(git, "git", counted)
    roots = [repository, tmp_path / "other"] * 3
    made = await asyncio.gather(
        *(
            worktree.worktree_create(root, path=tmp_path / f"w/{number}", base="HEAD")
            for number, root in enumerate(roots)
        )
    )
    assert most[0] == 1
    assert all((each.path / "README").exists() for each in made)


async def test_a_worktree_is_recorded_where_its_repository_was_moved_to(repository, tmp_path, git_in, worktrees_of):
    path = tmp_path / "worktrees/att_1"
    base = (await worktree.worktree_create(repository, path=path, base="HEAD")).base_commit
    (path / "README").write_text("kept\n")
    moved = repository.rename(tmp_path / "moved")
    found = await worktree.worktree_adopt(moved, path=path, base_commit=base)
    assert await found.configuration_changed() == ()
    taken = await changes.changes_capture(found, ref="refs/ropeway/r/s/a", message="m", captured_at=NOON)
    assert git_in(moved)("show", "refs/ropeway/r/s/a:README") == b"kept\n"
    await changes.worktree_remove(found, recorded_tree=taken.tree)
    assert not path.exists()
    assert len(worktrees_of(moved)) == 1


async def test_links_that_an_executor_put_beside_a_worktree_are_gone_when_it_is_made_again(made, repository, tmp_path):
    (tmp_path / "its").mkdir()
    (tmp_path / "its/file").touch()
    own = worktree.own_dir(made.path)
    (own / "HEAD").symlink_to(tmp_path / "its/file")
    await worktree.worktree_discard(repository, path=made.path, is_renewed=True)
    again = await worktree.worktree_create(repository, path=made.path, base="HEAD")
    assert sorted(os.listdir(own)) == ["index", "trusted"]
    await worktree.worktree_discard(repository, path=again.path, is_renewed=True)
    own.rename(tmp_path / "aside")
    own.symlink_to(tmp_path / "its")
    await worktree.worktree_create(repository, path=made.path, base="HEAD")
    assert (os.listdir(tmp_path / "its"), sorted(os.listdir(own))) == (["file"], ["index", "trusted"])


async def test_a_pipe_where_git_notes_a_worktree_is_not_waited_for(repository, tmp_path, made):
    for name in ("aside", "att_2"):
        (repository / ".git/worktrees" / name).mkdir()
        os.mkfifo(repository / ".git/worktrees" / name / "gitdir")
    with pytest.raises(worktree.WorktreeMissing):
        await worktree.worktree_adopt(repository, path=tmp_path / "worktrees/att_2", base_commit=made.base_commit)
    again = await worktree.worktree_adopt(repository, path=made.path, base_commit=made.base_commit)
    assert again.git_dir == made.git_dir
