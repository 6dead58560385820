"""An attempt's result lands in its repository, wherever the attempt pointed git to."""

import shutil
from datetime import UTC, datetime

import pytest

from local_daemon.worktrees import changes, configuration, folders, git, recorders, references, worktree

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
REF = "refs/ropeway/r/s/a"
LIMITS = folders.FolderLimits()


@pytest.fixture(params=["with those that stay", "without"])
async def by(request):
    made = recorders.Recorders() if request.param == "with those that stay" else None
    yield made
    if made is not None:
        await made.close()


@pytest.fixture(params=["sha1", "sha256", "bare"])
def place(request, tmp_path, repository, git_in):
    """The root of a repository, and the directory that its worktrees share."""
    if request.param == "sha1":
        return repository, repository / ".git"
    root = tmp_path / request.param
    if request.param == "bare":
        git_in(tmp_path)("clone", "--quiet", "--bare", str(repository), str(root))
        return root, root
    git_in(tmp_path)("init", "--quiet", "--object-format=sha256", str(root))
    (root / "README").write_text("one\n")
    git_in(root)("add", ".")
    git_in(root)("commit", "--quiet", "--message", "first")
    return root, root / ".git"


def elsewhere_make(common_dir, at):
    """Another directory with the repository's objects, as an attempt could make it."""
    shutil.copytree(common_dir, at, ignore=shutil.ignore_patterns("objects", "worktrees"))
    (at / "objects").symlink_to(common_dir / "objects")
    return at


def diverted(made, common_dir, where, to):
    """Points git elsewhere; answers the file that does."""
    file = {"repository": common_dir, "worktree": made.git_dir}[where] / "commondir"
    file.write_text(f"{to}\n")
    return file


@pytest.mark.parametrize("where", ["repository", "worktree"])
async def test_every_reference_is_where_the_attempt_did_not_point_to(where, place, by, tmp_path, git_in):
    root, common_dir = place
    made = await worktree.worktree_create(root, path=tmp_path / "worktrees/att_1", base="HEAD")
    elsewhere = elsewhere_make(common_dir, tmp_path / "elsewhere")
    pointer = diverted(made, common_dir, where, elsewhere)
    (made.path / "README").write_text("first\n")
    await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON, by=by)
    (made.path / "README").write_text("second\n")
    again = await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON, by=by)
    (made.path / "late").write_text("left by a check\n")
    left = await changes.worktree_remove(
        made, recorded_tree=again.tree, leftover_ref=f"{REF}-leftover", removed_at=NOON
    )
    pointer.unlink(missing_ok=True)
    run = git_in(root)
    listed = run("for-each-ref", "--format=%(refname) %(objectname)", "refs/ropeway").decode().splitlines()
    assert listed == [f"{REF} {again.head_commit}", f"{REF}-leftover {left}"]
    assert run("show", f"{REF}:README") == b"second\n"
    assert run("show", f"{REF}^2:README") == b"first\n"
    assert not (elsewhere / "refs/ropeway").exists()


async def test_an_attempt_that_begins_after_the_pointer_is_gone_is_recorded_in_the_repository(
    repository, tmp_path, git_in
):
    by = recorders.Recorders()
    elsewhere = elsewhere_make(repository / ".git", tmp_path / "elsewhere")
    for name in ("hostile", "honest"):
        made = await worktree.worktree_create(repository, path=tmp_path / f"worktrees/{name}", base="HEAD")
        (made.path / "README").write_text(f"{name}\n")
        pointer = repository / ".git/commondir"
        if name == "hostile":
            pointer.write_text(f"{elsewhere}\n")
        await changes.changes_capture(made, ref=f"refs/ropeway/r/s/{name}", message="m", captured_at=NOON, by=by)
        pointer.unlink(missing_ok=True)
    await by.close()
    for name in ("hostile", "honest"):
        assert git_in(repository)("show", f"refs/ropeway/r/s/{name}:README").decode() == f"{name}\n"


async def test_an_adopted_worktree_is_recorded_in_the_repository(repository, tmp_path, git_in):
    path = tmp_path / "worktrees/att_1"
    base = (await worktree.worktree_create(repository, path=path, base="HEAD")).base_commit
    (path / "README").write_text("other\n")
    configuration.trusted_dirs_sweep(tmp_path / "worktrees")
    made = await worktree.worktree_adopt(repository, path=path, base_commit=base)
    diverted(made, repository / ".git", "worktree", elsewhere_make(repository / ".git", tmp_path / "elsewhere"))
    await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)
    assert git_in(repository)("show", f"{REF}:README") == b"other\n"


async def test_a_folders_snapshot_is_where_the_attempt_did_not_point_to_and_no_log_keeps_the_last(tmp_path, git_in):
    folder, git_root = tmp_path / "notes", tmp_path / "home/folders/one.git"
    folder.mkdir()
    (folder / "a").write_text("one\n")
    options = {"git_root": git_root, "limits": LIMITS, "taken_at": NOON}
    await folders.snapshot_take(folder, **options)
    pointer = git_root / "commondir"
    pointer.write_text(f"{elsewhere_make(git_root, tmp_path / 'elsewhere')}\n")
    (folder / "a").write_text("two\n")
    taken = await folders.snapshot_take(folder, **options)
    assert await folders.snapshot_take(folder, **options) == taken
    pointer.unlink()
    assert git_in(git_root)("rev-parse", "refs/heads/snapshots").decode().strip() == taken
    assert not (git_root / "logs").exists()


async def test_a_directory_that_is_not_as_it_was_made_is_made_anew(repository, tmp_path):
    own, common_dir = tmp_path / "worktrees/any", repository / ".git"
    place = references.refs_place(common_dir, own_dir=own)
    ours = place.directory
    for spoil in (
        lambda: (ours / "commondir").write_text("/elsewhere\n"),
        lambda: (ours / "config.worktree").write_text("[core]\n"),
        (ours / "HEAD").unlink,
        lambda: shutil.rmtree(ours),
    ):
        spoil()
        assert references.refs_place(common_dir, own_dir=own) == place
        assert sorted(each.name for each in ours.iterdir()) == ["HEAD", "commondir", "refs"]
        assert (ours / "commondir").read_text() == f"{common_dir}\n"


async def test_tables_of_references_are_written_by_no_git_that_stays(repository, tmp_path, git_in, monkeypatch):
    """What tells of them is what stood there before the attempt, which could make a folder of that name."""
    started = []
    monkeypatch.setattr(git, "git_standing", lambda *arguments: started.append(arguments[1]) or _refuse())
    by = recorders.Recorders()
    for number, is_kept_so in enumerate((False, True)):
        if is_kept_so:
            git_in(repository)("config", "extensions.refStorage", "reftable")
        made = await worktree.worktree_create(repository, path=tmp_path / f"worktrees/att_{number}", base="HEAD")
        (repository / ".git/reftable").mkdir(exist_ok=True)
        (made.path / "README").write_text(f"{number}\n")
        assert references.has_tables(made.trusted) is is_kept_so
        assert (made.refs.git_dir == made.git_dir) is is_kept_so
        started.clear()
        await changes.changes_capture(made, ref=f"{REF}{number}", message="m", captured_at=NOON, by=by)
        assert ("update-ref" in started) is not is_kept_so
        del made


def _refuse():
    raise git.GitFailed(subcommand="any", exit_code=-1, detail="not here")
