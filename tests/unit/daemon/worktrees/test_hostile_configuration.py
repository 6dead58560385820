"""No git that the daemon starts runs anything that an attempt wrote, even if it was written the moment before.

The list of commands is made of the code, and each of them is run here under a hostile configuration (`hostility.py`):
a new call of git that nothing here comes past fails `test_every_git_that_the_daemon_starts_meets_it`.
"""

import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local_daemon.protocol import specs
from local_daemon.worktrees import (
    agreed,
    applying,
    bindings,
    changes,
    configuration,
    diffs,
    folder_applying,
    folders,
    git,
    ignored,
    inspection,
    pool,
    provisioning,
    pruning,
    sameness,
    uncommitted,
    worktree,
)
from tests.unit.daemon.worktrees import hostility

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LIMITS = folders.FolderLimits()
REF = "refs/ropeway/r/s/a"


class World:
    """A repository with a submodule, a folder without git, and a daemon's directories."""

    def __init__(self, repository, tmp_path, git_in):
        self.repository, self.tmp_path, self.git_in = repository, tmp_path, git_in
        self.git = git_in(repository)
        self.trusted_root = tmp_path / "trusted"
        self.folder = tmp_path / "notes"
        self.git_root = tmp_path / "home/folders/one.git"
        self.folder.mkdir()
        (self.folder / "a.py").write_text("one\n")
        self.numbers = iter(range(1000))

    def commit(self, name, content):
        (self.repository / name).write_text(content)
        self.git("add", name)
        self.git("commit", "--quiet", "--message", name)
        return self.git("rev-parse", "HEAD").decode().strip()

    async def worktree(self, root=None, base="HEAD", **options):
        path = self.tmp_path / f"worktrees/att_{next(self.numbers)}"
        return await worktree.worktree_create(root or self.repository, path=path, base=base, **options)

    async def capture(self, made, ref=REF):
        return await changes.changes_capture(made, ref=ref, message="m", captured_at=NOON)

    async def attempt(self):
        """Everything that an attempt's changes may be made of."""
        made = await self.worktree()
        await provisioning.hook_made_note(made)
        assert await uncommitted.uncommitted_beside(made, repository_root=self.repository) is not None
        executor = self.git_in(made.path)
        (made.path / "README").write_text("other\n")
        (made.path / "src/b.bin").write_bytes(b"other")
        (made.path / "link").symlink_to("README")
        (made.path / "trace.log").write_text("ignored")
        executor("add", "--force", "trace.log")
        executor("commit", "--quiet", "--message", "its own")
        (made.path / "build").mkdir()
        (made.path / "build/out").write_text("ignored")
        taken = await self.capture(made)
        assert await diffs.links_read(made.place, base=taken.base_commit, tree=taken.tree) == [("link", "README")]
        told = await diffs.diff_read(made.place, base=taken.base_commit, tree=taken.tree)
        assert told.patch == taken.patch
        (made.path / "nested").mkdir()
        self.git_in(made.path / "nested")("init", "--quiet")
        (made.path / "nested/file.py").write_text("nested\n")
        again = await self.capture(made)
        assert "nested/file.py" in [file.path for file in again.files]
        await changes.worktree_require_recorded(made, recorded_tree=again.tree)
        (made.path / "late.py").write_text("late\n")
        await ignored.ignored_put_aside(made, destination=self.tmp_path / "aside/one")
        await changes.worktree_remove(made, recorded_tree=again.tree, leftover_ref=f"{REF}-leftover", removed_at=NOON)
        return again

    async def no_files(self):
        """What git can't keep is sought among the files of the commit."""
        made = await self.worktree()
        (made.path / "README").unlink()
        os.mkfifo(made.path / "README")
        assert (await self.capture(made, "refs/ropeway/r/s/no-files")).special_files == ("README",)
        await worktree.worktree_discard(self.repository, path=made.path)

    async def large_files(self):
        self.commit("src/.gitattributes", "*.big filter=lfs\n")
        made = await self.worktree()
        with pytest.raises(provisioning.ProvisioningFailed, match="LFS"):
            await provisioning.lfs_require(made)
        await worktree.worktree_discard(self.repository, path=made.path)
        self.git("rm", "--quiet", "src/.gitattributes")
        self.git("commit", "--quiet", "--message", "no large files")

    async def lost_index(self):
        made = await self.worktree()
        made.index.unlink()
        await self.capture(made, "refs/ropeway/r/s/lost")
        await worktree.worktree_adopt(self.repository, path=made.path, base_commit=made.base_commit)
        await worktree.worktree_discard(self.repository, path=made.path)

    async def lost_reference(self):
        made = await self.worktree()
        taken = await self.capture(made, "refs/ropeway/r/s/lost-reference")
        self.git("update-ref", "-d", taken.ref)
        assert await changes.refs_renew(made, dict.fromkeys((taken.ref, f"{taken.ref}-too"), taken.head_commit))
        await worktree.worktree_discard(self.repository, path=made.path)

    async def submodule(self):
        inner, outer = self.tmp_path / "inner", self.tmp_path / "outer"
        for root in (inner, outer):
            root.mkdir()
            self.git_in(root)("init", "--quiet", "--initial-branch=main")
            (root / "file.py").write_text("one\n")
            self.git_in(root)("add", ".")
            self.git_in(root)("commit", "--quiet", "--message", "first")
        run = self.git_in(outer)
        run("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
        run("commit", "--quiet", "--message", "a submodule")
        made = await self.worktree(outer)
        executor = self.git_in(made.path)
        executor("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
        (made.path / "sub/file.py").write_text("other\n")
        assert (await self.capture(made)).unrecorded == ("sub",)
        (outer / "sub/file.py").write_text("in progress\n")
        assert await uncommitted.uncommitted_in(outer, trusted_root=self.trusted_root) == specs.Uncommitted(
            changed=0, untracked=0
        )
        head = self.commit_in(outer)
        plan = applying.Plan(branch="main", before=head, after=self.after(run, head))
        await applying.application_carry_out(outer, plan, trusted_root=self.trusted_root)

    def commit_in(self, root):
        return self.git_in(root)("rev-parse", "HEAD").decode().strip()

    def after(self, run, head):
        blob = run("hash-object", "-w", "--stdin", stdin=b"two\n").decode().strip()
        entries = run("ls-tree", head).decode().replace(run("rev-parse", f"{head}:file.py").decode().strip(), blob)
        tree = run("mktree", stdin=entries.encode()).decode().strip()
        return run("commit-tree", "-p", head, "-m", "two", tree).decode().strip()

    async def by_git(self):
        """A repository whose worktrees git itself makes."""
        self.git("sparse-checkout", "set", "--no-cone", "/*")
        made = await self.worktree()
        assert (made.path / "README").exists()
        await worktree.worktree_discard(self.repository, path=made.path)
        (self.repository / ".git/config.worktree").unlink()
        self.git("config", "--unset", "extensions.worktreeConfig")

    async def spares(self):
        spares = pool.Pool(self.tmp_path / "spares", worth_s=0)
        try:
            await self.worktree(spares=spares)
            spares.fill()
            await spares.settle()
            self.commit("moved.py", "on\n")
            made = await self.worktree(spares=spares)
            assert (made.path / "moved.py").exists()
        finally:
            await spares.close()

    async def checkout(self):
        (self.repository / "README").write_text("in progress\n")
        found = await uncommitted.uncommitted_in(self.repository, trusted_root=self.trusted_root)
        assert found == specs.Uncommitted(changed=1, untracked=0)
        self.git("checkout", "--quiet", "README")

    async def apply(self):
        base = self.commit_in(self.repository)
        self.git("branch", "aside", base)
        other = self.tmp_path / "theirs"
        self.git("worktree", "add", "--quiet", "-b", "linked", str(other), base)
        self.git_in(other)("sparse-checkout", "set", "--no-cone", "/*")
        made = await self.worktree()
        (made.path / "README").write_text("one\ntwo\nthree\nfour\n")
        taken = await self.capture(made, "refs/ropeway/r/s/applied")
        self.commit("meanwhile.py", "meanwhile\n")
        for mode, branch in (
            (applying.Mode.CHERRY_PICK, None),
            (applying.Mode.MERGE, "aside"),
            (applying.Mode.MERGE, "linked"),
            (applying.Mode.EXPORT, "exported"),
        ):
            plan = await self.plan(taken, mode, branch)
            await applying.application_carry_out(self.repository, plan, trusted_root=self.trusted_root)
            assert self.git("show", f"{plan.branch}:README").endswith(b"four\n")
        for checkout in (self.repository, other):
            assert (checkout / "README").read_text().endswith("four\n")
            assert self.git_in(checkout)("status", "--porcelain") == b""
        await self.refused(made)

    async def apply_from_beside(self):
        """Onto a branch that is checked out where the repository lies, asked for from another of its checkouts."""
        other = self.tmp_path / "beside"
        self.git("worktree", "add", "--quiet", "-b", "beside", str(other))
        made = await self.worktree(other)
        (made.path / "README").write_text("from beside\n")
        taken = await self.capture(made, "refs/ropeway/r/s/beside")
        plan = await applying.application_plan(
            other, trusted_root=self.trusted_root, mode=applying.Mode.MERGE, branch="main",
            base_commit=taken.base_commit, head_commit=taken.head_commit, message="m", at=NOON,
        )  # fmt: skip
        await applying.application_carry_out(other, plan, trusted_root=self.trusted_root)
        assert (self.repository / "README").read_text() == "from beside\n"
        assert self.git("status", "--porcelain") == b""

    async def apply_beside_tables(self):
        """As where references are kept in tables, which this git may be too old to make: no `HEAD` is looked at."""
        config = self.repository / ".git/config"
        before = config.read_bytes()
        config.write_bytes(before + b"# refStorage = reftable\n")
        made = await self.worktree()
        (made.path / "README").write_text("beside tables\n")
        taken = await self.capture(made, "refs/ropeway/r/s/tables")
        plan = await applying.application_plan(
            self.repository, trusted_root=self.trusted_root, mode=applying.Mode.MERGE, branch="main",
            base_commit=taken.base_commit, head_commit=taken.head_commit, message="m", at=NOON,
        )  # fmt: skip
        await applying.application_carry_out(self.repository, plan, trusted_root=self.trusted_root)
        assert (self.repository / "README").read_text() == "beside tables\n"
        config.write_bytes(before)

    async def refused(self, made):
        """A branch that can't be moved once its files are there."""
        (made.path / "new.py").write_text("new\n")
        plan = await self.plan(await self.capture(made, "refs/ropeway/r/s/refused"), applying.Mode.MERGE, "main")
        lock = self.repository / ".git/refs/heads/main.lock"
        lock.touch()
        with pytest.raises(applying.Refused, match="could not be moved"):
            await applying.application_carry_out(self.repository, plan, trusted_root=self.trusted_root)
        lock.unlink()
        assert not (self.repository / "new.py").exists()
        assert self.git("status", "--porcelain") == b""

    async def plan(self, taken, mode, branch):
        return await applying.application_plan(
            self.repository, trusted_root=self.trusted_root, mode=mode, branch=branch, base_commit=taken.base_commit,
            head_commit=taken.head_commit, message="m", at=NOON,
        )  # fmt: skip

    async def folders(self):
        base = await folders.snapshot_take(self.folder, git_root=self.git_root, limits=LIMITS, taken_at=NOON)
        made = await self.worktree(self.git_root, base)
        (made.path / "a.py").write_text("two\n")
        taken = await self.capture(made)
        options = {"git_root": self.git_root, "limits": LIMITS, "at": NOON}
        plan = await folder_applying.folder_plan(
            self.folder, base_commit=base, head_commit=taken.head_commit, message="m", **options
        )
        await folder_applying.folder_carry_out(self.folder, plan, **options)
        assert (self.folder / "a.py").read_text() == "two\n"
        await worktree.worktree_discard(self.git_root, path=made.path)
        del made
        await folders.shadow_tidy(self.git_root, trusted_root=self.trusted_root)
        inner = self.git_in(self.folder)
        index = str(self.git_root / "folder-index")
        (self.folder / "sub").mkdir()
        self.git_in(self.folder / "sub")("init", "--quiet")
        self.git_in(self.folder / "sub")("commit", "--quiet", "--allow-empty", "--message", "m")
        commit = self.commit_in(self.folder / "sub")
        inner(
            "update-index", "--add", "--cacheinfo", f"160000,{commit},sub",
            GIT_DIR=str(self.git_root), GIT_INDEX_FILE=index, GIT_WORK_TREE=str(self.folder),
        )  # fmt: skip
        with pytest.raises(folders.FolderRefused, match="sub/"):
            await folders.snapshot_take(self.folder, git_root=self.git_root, limits=LIMITS, taken_at=NOON)

    async def letting_go(self):
        taken = await self.attempt()
        wanted = {
            REF: (await inspection.revision_resolve(self.repository, REF, trusted_root=self.trusted_root)).commit,
            f"{REF}-leftover": None,
        }
        await pruning.refs_remove(self.repository, wanted, trusted_root=self.trusted_root)
        assert self.git("for-each-ref", REF) == b""
        assert await pruning.objects_prune(self.repository, trusted_root=self.trusted_root)
        self.git("cat-file", "-e", taken.head_commit)

    async def looking(self):
        await inspection.repository_inspect(self.repository)
        with pytest.raises(inspection.UnknownRevision):
            await inspection.revision_resolve(self.repository, "1" * 40, trusted_root=self.trusted_root)
        bare = self.tmp_path / "bare.git"
        self.git_in(self.tmp_path)("clone", "--quiet", "--bare", str(self.repository), str(bare))
        bindings.common_dir_find(bare)
        assert await agreed.file_read(bare, trusted_root=self.trusted_root) is None
        assert (
            await sameness.commits_held(self.repository / ".git", {"1" * 40}, trusted_root=self.trusted_root)
            == frozenset()
        )
        assert REF not in await sameness.references_held(bare, trusted_root=self.trusted_root)
        before = await configuration.configuration_read(self.repository / ".git")
        self.git("config", "alias.x", "!y")
        after = await configuration.configuration_read(self.repository / ".git")
        assert await configuration.names_changed(before, after) == ("alias.x",)
        self.git("config", "--unset", "alias.x")
        self.git("config", "--file", ".git/more", "filter.mine.clean", "cat")
        self.git("config", "include.path", "more")
        before = await configuration.configuration_read(self.repository / ".git")
        self.git("config", "user.name", "Ada")
        after = await configuration.configuration_read(self.repository / ".git")
        assert await configuration.names_changed(before, after) == ()
        self.git("config", "--unset", "include.path")


ACTS = [name for name, act in vars(World).items() if getattr(act, "__code__", None) and act.__code__.co_flags & 0x80]
ACTS = [name for name in ACTS if name not in ("worktree", "capture", "plan", "refused")]


@pytest.fixture
def hostile(tmp_path, repository, monkeypatch):
    (tmp_path / "hostility").mkdir()
    outer = tmp_path / "outer/.git"
    own_modules = [outer / f"worktrees/att_{number}/modules/sub" for number in range(100)]
    folders_own = tmp_path / "home/folders/one.git"
    dirs = [repository / ".git", folders_own, tmp_path / "bare.git", outer, outer / "modules/sub", *own_modules]
    made = hostility.Hostility(folder=tmp_path / "hostility", common_dirs=dirs)
    monkeypatch.setattr(git, "git", made)
    return made


@pytest.mark.parametrize("act", ACTS)
async def test_nothing_that_was_configured_meanwhile_is_run(act, hostile, repository, tmp_path, git_in):
    await getattr(World(repository, tmp_path, git_in), act)()
    assert hostile.seen


async def test_every_git_that_the_daemon_starts_meets_it(hostile, repository, tmp_path, git_in):
    world = World(repository, tmp_path, git_in)
    for act in ACTS:
        await getattr(world, act)()
    assert list(hostility.lines(hostile.missed())) == []


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["diff"],
        ["-c", "core.fsmonitor=false", "add", "--all"],
        ["commit", "--allow-empty", "--message", "m"],
        ["-c", "core.fsmonitor=false", "checkout", "--force", "HEAD", "--", "."],
    ],
    ids=str,
)
def test_the_canary_is_alive_under_a_git_that_trusts(command, hostile, repository, git_in):
    (repository / "README").write_text("other\n")
    hostile.poison()
    with suppress(AssertionError):
        git_in(repository)(*command)
    hostile.cure()
    assert hostile.canary.exists()


async def test_a_repository_that_points_git_to_a_configuration_elsewhere_is_noticed_and_not_followed(
    repository, tmp_path, git_in
):
    made = await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_1", base="HEAD")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(repository / ".git", elsewhere)
    git_in(elsewhere)("config", "filter.evil.smudge", f"touch {tmp_path / 'ran'}; cat")
    (elsewhere / "info").mkdir(exist_ok=True)
    (elsewhere / "info/attributes").write_text("* filter=evil\n")
    (repository / ".git/commondir").write_text(f"{elsewhere}\n")
    assert git_in(repository)("config", "filter.evil.smudge")
    assert await made.configuration_changed() == ("commondir",)
    with pytest.raises(configuration.ConfigurationChanged, match="commondir"):
        await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_2", base="HEAD")
    (made.path / "README").write_text("other\n")
    await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)
    del made
    # Nobody is at work any more who had seen it otherwise: it is no repository's own all the same.
    with pytest.raises(configuration.RepositoryLedElsewhere, match="commondir"):
        await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_3", base="HEAD")
    assert not (tmp_path / "ran").exists()
    (repository / ".git/commondir").unlink()
    assert git_in(repository)("rev-parse", REF)


async def test_a_commit_that_stands_for_another_is_not_believed(repository, tmp_path, git_in):
    """`refs/replace` and grafts: what was approved by its digest would be applied as something else."""
    run = git_in(repository)
    made = await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_1", base="HEAD")
    (made.path / "README").write_text("agreed\n")
    taken = await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)
    (made.path / "README").write_text("not agreed\n")
    other = await changes.changes_capture(made, ref=f"{REF}2", message="m", captured_at=NOON)
    run("replace", taken.head_commit, other.head_commit)
    assert run("show", f"{taken.head_commit}:README") == b"not agreed\n"
    assert (
        await inspection.revision_resolve(repository, taken.head_commit, trusted_root=tmp_path / "trusted")
    ).tree == taken.tree
    trusted_root: Path = tmp_path / "trusted"
    plan = await applying.application_plan(
        repository, trusted_root=trusted_root, mode=applying.Mode.MERGE, branch="main", base_commit=taken.base_commit,
        head_commit=taken.head_commit, message="m", at=NOON,
    )  # fmt: skip
    await applying.application_carry_out(repository, plan, trusted_root=trusted_root)
    assert (repository / "README").read_text() == "agreed\n"
