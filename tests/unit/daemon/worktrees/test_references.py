"""An attempt's result lands in its repository, wherever the attempt pointed git to."""

import os
import shutil
from datetime import UTC, datetime

import pytest

from local_daemon.worktrees import (
    agreed,
    applying,
    changes,
    configuration,
    folders,
    git,
    inspection,
    pruning,
    recorders,
    references,
    sameness,
    worktree,
)

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


async def test_no_snapshot_is_taken_where_an_attempt_pointed_to_and_no_log_keeps_the_last(tmp_path, git_in):
    folder, git_root = tmp_path / "notes", tmp_path / "home/folders/one.git"
    folder.mkdir()
    (folder / "a").write_text("one\n")
    options = {"git_root": git_root, "limits": LIMITS, "taken_at": NOON}
    await folders.snapshot_take(folder, **options)
    pointer = git_root / "commondir"
    pointer.write_text(f"{elsewhere_make(git_root, tmp_path / 'elsewhere')}\n")
    (folder / "a").write_text("two\n")
    with pytest.raises(configuration.RepositoryLedElsewhere):
        await folders.snapshot_take(folder, **options)
    pointer.unlink()
    taken = await folders.snapshot_take(folder, **options)
    assert await folders.snapshot_take(folder, **options) == taken
    assert git_in(git_root)("rev-parse", "refs/heads/snapshots").decode().strip() == taken
    assert not (git_root / "logs").exists()


async def test_a_directory_that_is_not_as_it_was_made_is_made_anew(repository, tmp_path):
    trusted_root, common_dir = tmp_path / "trusted", repository / ".git"
    place = references.refs_place(common_dir, trusted_root=trusted_root)
    ours = place.directory
    for spoil in (
        lambda: (ours / "commondir").write_text("/elsewhere\n"),
        lambda: (ours / "config.worktree").write_text("[core]\n"),
        (ours / "HEAD").unlink,
        lambda: (ours / "HEAD").unlink() or os.mkfifo(ours / "HEAD"),
        lambda: shutil.rmtree(ours),
        lambda: shutil.rmtree(ours) or os.mkfifo(ours),
    ):
        spoil()
        assert references.refs_place(common_dir, trusted_root=trusted_root) == place
        assert sorted(each.name for each in ours.iterdir()) == ["HEAD", "commondir", "refs"]
        assert (ours / "commondir").read_text() == f"{common_dir}\n"


async def test_references_are_written_by_a_git_that_stays(repository, tmp_path, monkeypatch):
    assert "update-ref" in await _asked_to_stay(repository, tmp_path, monkeypatch)


async def test_tables_of_references_are_written_as_files_are(with_tables, tmp_path, monkeypatch):
    assert "update-ref" in await _asked_to_stay(with_tables, tmp_path, monkeypatch)


async def _asked_to_stay(root, tmp_path, monkeypatch):
    """Which commands would have stayed for an attempt's capture."""
    started = []
    monkeypatch.setattr(git, "git_standing", lambda *arguments: started.append(arguments[1]) or _refuse())
    made = await worktree.worktree_create(root, path=tmp_path / "worktrees/att_1", base="HEAD")
    (made.path / "README").write_text("other\n")
    taken = await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON, by=recorders.Recorders())
    assert [file.path for file in taken.files] == ["README"]
    assert (await inspection.revision_resolve(root, REF, trusted_root=tmp_path / "trusted")).commit == taken.head_commit
    return started


def _refuse():
    raise git.GitFailed(subcommand="any", exit_code=-1, detail="not here")


class Led:
    """A repository, and another one to which a `commondir` leads in the very moments in which git runs."""

    def __init__(self, repository, tmp_path, git_in):
        self.repository, self.trusted_root = repository, tmp_path / "trusted"
        self.run = git_in(repository)
        for branch in ("aside", "topic"):
            self.run("branch", branch)
        self.run("update-ref", REF, "HEAD")
        self.commit = self.run("rev-parse", "HEAD").decode().strip()
        self.elsewhere = elsewhere_make(repository / ".git", tmp_path / "elsewhere")
        self.there = git_in(self.elsewhere)
        self.other = self.there("commit-tree", "-p", "main", "-m", "other", "main^{tree}").decode().strip()
        for ref in ("refs/heads/main", "refs/heads/aside", "refs/heads/only-there", f"{REF}2"):
            self.there("update-ref", ref, self.other)

    async def git(self, place, *arguments, **options):
        (self.repository / ".git/commondir").write_text(f"{self.elsewhere}\n")
        try:
            return await self.real(place, *arguments, **options)
        finally:
            (self.repository / ".git/commondir").unlink()

    def refs(self, run):
        return run("for-each-ref", "--format=%(refname) %(objectname)")

    async def plan(self, branch):
        return await applying.application_plan(
            self.repository, trusted_root=self.trusted_root, mode=applying.Mode.MERGE, branch=branch,
            base_commit=self.commit, head_commit=self.result, message="m", at=NOON,
        )  # fmt: skip


@pytest.fixture
def led(repository, tmp_path, git_in, monkeypatch):
    made = Led(repository, tmp_path, git_in)
    (repository / "README").write_text("result\n")
    made.result = made.run("stash", "create").decode().strip()
    made.run("checkout", "--quiet", "README")
    made.before = made.refs(made.there)
    made.real = git.git
    monkeypatch.setattr(git, "git", made.git)
    yield made
    monkeypatch.undo()
    assert made.before is None or made.refs(made.there) == made.before


async def test_what_a_name_points_at_is_asked_of_the_repository_itself(led):
    options = {"trusted_root": led.trusted_root}
    for name in ("main", "HEAD", "HEAD~0", "@", "aside", "refs/heads/main", led.commit[:10]):
        assert (await inspection.revision_resolve(led.repository, name, **options)).commit == led.commit
    for name in ("only-there", f"{REF}2", "HEAD@{upstream}", "HEAD:README"):
        with pytest.raises(inspection.UnknownRevision):
            await inspection.revision_resolve(led.repository, name, **options)


async def test_what_a_repository_holds_is_asked_of_itself_and_results_go_from_it(led):
    common_dir, options = led.repository / ".git", {"trusted_root": led.trusted_root}
    assert await sameness.references_held(common_dir, **options) == {REF}
    await pruning.refs_remove(led.repository, {REF: led.commit, f"{REF}2": led.other}, **options)
    assert await sameness.references_held(common_dir, **options) == frozenset()


async def test_what_the_repository_itself_reaches_is_what_stays(led):
    """Also what was only staged in its checkout; what another one reaches goes."""
    led.run("config", "gc.pruneExpire", "now")
    (led.repository / "staged").write_text("staged\n")
    led.run("add", "staged")
    kept = led.run("commit-tree", "-p", "main", "-m", "kept", "main^{tree}").decode().strip()
    led.run("update-ref", "refs/heads/kept", kept)
    assert await pruning.objects_prune(led.repository, trusted_root=led.trusted_root)
    led.run("fsck", "--strict")
    led.run("cat-file", "-e", kept)
    led.run("show", ":staged")
    assert led.other not in led.run("cat-file", "--batch-check", "--batch-all-objects").decode()
    led.before = None


async def test_a_result_reaches_the_branch_of_the_repository_itself(led):
    plan = await led.plan("topic")
    assert plan.before == led.commit
    await applying.application_carry_out(led.repository, plan, trusted_root=led.trusted_root)
    assert led.run("show", "topic:README") == b"result\n"


async def test_a_branch_that_is_checked_out_is_not_said_to_have_moved_where_another_one_was(led):
    plan = await led.plan(None)
    assert (plan.branch, plan.before) == ("main", led.commit)
    with pytest.raises(applying.Refused, match="commondir|could not be moved"):
        await applying.application_carry_out(led.repository, plan, trusted_root=led.trusted_root)
    assert led.run("rev-parse", "main").decode().strip() == led.commit
    assert (led.repository / "README").read_text() == "one\ntwo\nthree\n"
    assert led.run("status", "--porcelain") == b""


async def test_a_checkout_that_an_attempt_only_wrote_down_is_not_worked_in(repository, tmp_path, git_in):
    run, other = git_in(repository), tmp_path / "other"
    run("branch", "topic")
    run("clone", "--quiet", "--branch", "topic", str(repository), str(other))
    (other / ".git/worktrees").mkdir()
    entry = repository / ".git/worktrees/any"
    entry.mkdir(parents=True)
    (entry / "HEAD").write_text("ref: refs/heads/topic\n")
    (entry / "gitdir").write_text(f"{other}/.git\n")
    (entry / "commondir").write_text("../..\n")
    (repository / "README").write_text("result\n")
    result = run("stash", "create").decode().strip()
    run("checkout", "--quiet", "README")
    plan = await applying.application_plan(
        repository, trusted_root=tmp_path / "trusted", mode=applying.Mode.MERGE, branch="topic",
        base_commit=run("rev-parse", "main").decode().strip(), head_commit=result, message="m", at=NOON,
    )  # fmt: skip
    with pytest.raises(applying.Refused, match="another repository"):
        await applying.application_carry_out(repository, plan, trusted_root=tmp_path / "trusted")
    assert (other / "README").read_text() == "one\ntwo\nthree\n"


async def test_a_bare_repositorys_policy_is_its_own(repository, tmp_path, git_in, monkeypatch):
    run = git_in(repository)
    (repository / ".ropeway").mkdir()
    (repository / ".ropeway/repository.toml").write_text("# agreed\n")
    run("add", "."), run("commit", "--quiet", "--message", "agreed")
    bare = tmp_path / "bare.git"
    git_in(tmp_path)("clone", "--quiet", "--bare", str(repository), str(bare))
    elsewhere = elsewhere_make(bare, tmp_path / "elsewhere")
    git_in(elsewhere)("update-ref", "refs/heads/main", git_in(bare)("rev-parse", "main~1").decode().strip())
    (bare / "commondir").write_text(f"{elsewhere}\n")
    assert git_in(bare)("ls-tree", "HEAD", ".ropeway") == b""
    assert await agreed.file_read(bare, trusted_root=tmp_path / "trusted") == b"# agreed\n"


async def test_references_that_git_packs_or_writes_anew_meanwhile_are_found(repository, git_in, monkeypatch):
    run, common_dir, real = git_in(repository), repository / ".git", references._packed
    commit = run("rev-parse", "HEAD").decode().strip()
    other = run("commit-tree", "-m", "other", "HEAD^{tree}").decode().strip()
    wanted = {REF: commit, f"{REF}2": commit}

    def elsewhere_while(*git_does):
        """What is told where git does that just when the packed ones have been read."""

        def packed(of):
            yield from tuple(real(of))
            run(*git_does)

        monkeypatch.setattr(references, "_packed", packed)
        return references.refs_elsewhere(common_dir, wanted)

    for name in wanted:
        run("update-ref", name, commit)
    assert elsewhere_while("pack-refs", "--all") == {}
    run("update-ref", "-d", REF)
    assert elsewhere_while("update-ref", REF, commit) == {}
    run("pack-refs", "--all")
    run("update-ref", REF, other)
    assert elsewhere_while("pack-refs", "--all") == {REF: other}


@pytest.mark.parametrize("way", ["names another commit", "has a folder in its place"])
async def test_one_reference_that_can_not_be_written_again_makes_the_many_others_no_work(
    repository, tmp_path, git_in, monkeypatch, way
):
    run, real, asked = git_in(repository), git.git, []
    commit = run("rev-parse", "HEAD").decode().strip()
    other = run("commit-tree", "-m", "other", "HEAD^{tree}").decode().strip()
    made = await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_1", base="HEAD")
    kept = {f"{REF}{number}": commit for number in range(64)}
    run("update-ref", f"{REF}40" if way == "names another commit" else f"{REF}40/in/its/place", other)

    async def counted(*args, **options):
        asked.append(args)
        return await real(*args, **options)

    monkeypatch.setattr(git, "git", counted)
    assert await changes.refs_renew(made, kept)
    now = run("for-each-ref", "--format=%(refname) %(objectname)", "refs/ropeway").decode().splitlines()
    assert {line for line in now if line.endswith(commit)} == {f"{ref} {commit}" for ref in kept if ref != f"{REF}40"}
    assert len(now) == len(kept)
    assert len(asked) == (1 if way == "names another commit" else 1 + 2 * 6)
