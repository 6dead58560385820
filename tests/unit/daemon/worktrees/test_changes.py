"""No edit is ever lost: whatever an executor does in its worktree, the patch and the commit hold it."""

import asyncio
import os
import shutil
from datetime import UTC, datetime

import pytest

from local_daemon.worktrees import changes, git, paths, pruning, worktree

REF = "refs/ropeway/run_1/step_1/att_1"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def capture(of: worktree.Worktree, ref: str = REF) -> changes.Changes:
    return await changes.changes_capture(of, ref=ref, message="Attempt att_1", captured_at=NOON)


@pytest.fixture
def tree_of(repository, git_in):
    """A commit's files: path → (mode, content)."""

    def tree_of(commit: str) -> dict[str, tuple[str, bytes]]:
        run = git_in(repository)
        records = run("ls-tree", "-r", "-z", commit).split(b"\0")[:-1]
        found = {}
        for record in records:
            header, _, path = record.partition(b"\t")
            mode, kind, name = header.decode().split()
            found[paths.path_text(path)] = (mode, run("cat-file", kind, name) if kind == "blob" else name.encode())
        return found

    return tree_of


@pytest.fixture
def assert_patch_gives_tree(repository, tmp_path, git_in):
    """Applying the patch to the base's tree gives exactly the recorded tree."""

    def check(taken: changes.Changes) -> None:
        (tmp_path / "taken.patch").write_bytes(taken.patch)
        index = {"GIT_INDEX_FILE": str(tmp_path / "check-index")}
        run = git_in(repository)
        run("read-tree", taken.base_commit, **index)
        if taken.patch:
            run("apply", "--cached", "--whitespace=nowarn", str(tmp_path / "taken.patch"), **index)
        assert run("write-tree", **index).decode().strip() == taken.tree
        assert run("rev-parse", f"{taken.head_commit}^{{tree}}").decode().strip() == taken.tree
        assert run("rev-parse", taken.ref).decode().strip() == taken.head_commit

    return check


async def test_every_kind_of_edit_is_recorded(made, tree_of, assert_patch_gives_tree):
    (made.path / "README").write_text("one\n2\nthree\n")
    (made.path / "src/b.bin").write_bytes(bytes(range(255, -1, -1)))
    (made.path / "src/a.py").rename(made.path / "src/renamed.py")
    (made.path / "new/deep").mkdir(parents=True)
    (made.path / "new/deep/file").write_text("no newline at the end")
    (made.path / "new/empty").touch()
    (made.path / "run.sh").write_text("#!/bin/sh\n")
    (made.path / "run.sh").chmod(0o755)
    (made.path / "link").symlink_to("README")
    (made.path / ".gitignore").unlink()
    taken = await capture(made)
    assert_patch_gives_tree(taken)
    found = {file.path: (file.status, file.old_path, file.additions, file.deletions) for file in taken.files}
    assert found == {
        ".gitignore": ("D", None, 0, 2),
        "README": ("M", None, 1, 1),
        "link": ("A", None, 1, 0),
        "new/deep/file": ("A", None, 1, 0),
        "new/empty": ("A", None, 0, 0),
        "run.sh": ("A", None, 1, 0),
        "src/b.bin": ("M", None, None, None),
        "src/renamed.py": ("R", "src/a.py", 0, 0),
    }
    assert tree_of(taken.head_commit)["run.sh"] == ("100755", b"#!/bin/sh\n")
    assert tree_of(taken.head_commit)["link"] == ("120000", b"README")
    assert taken.unrecorded == ()


async def test_nothing_changed_is_the_base_itself_and_an_empty_patch(made, assert_patch_gives_tree):
    taken = await capture(made)
    assert (taken.head_commit, taken.patch, taken.files) == (made.base_commit, b"", ())
    assert_patch_gives_tree(taken)


async def test_the_commit_has_a_fixed_identity_and_the_base_for_parent(made, repository, git_in):
    (made.path / "README").write_text("x\n")
    taken = await capture(made)
    shown = git_in(repository)("show", "--no-patch", "--format=%an <%ae> %cn <%ce> %at %P %s", taken.head_commit)
    assert shown.decode().strip() == (
        f"Ropeway <ropeway@localhost> Ropeway <ropeway@localhost> {NOON.timestamp():.0f} "
        f"{taken.base_commit} Attempt att_1"
    )


async def test_no_branch_of_the_person_is_touched(made, repository, git_in):
    before = git_in(repository)("for-each-ref", "refs/heads", "refs/tags", "--format=%(refname) %(objectname)")
    (made.path / "README").write_text("x\n")
    await capture(made)
    assert git_in(repository)("for-each-ref", "refs/heads", "refs/tags", "--format=%(refname) %(objectname)") == before
    assert git_in(repository)("status", "--porcelain") == b""


async def test_commits_of_the_executor_are_kept_below_ours(made, repository, git_in, assert_patch_gives_tree):
    run = git_in(made.path)
    (made.path / "one").write_text("1\n")
    run("add", "one")
    run("commit", "--quiet", "--message", "its own")
    its_commit = run("rev-parse", "HEAD").decode().strip()
    (made.path / "two").write_text("2\n")
    taken = await capture(made)
    assert_patch_gives_tree(taken)
    assert [file.path for file in taken.files] == ["one", "two"]
    assert git_in(repository)("rev-parse", f"{taken.head_commit}^").decode().strip() == its_commit


async def test_a_commit_of_the_executor_that_holds_everything_is_the_head(made, git_in, assert_patch_gives_tree):
    run = git_in(made.path)
    run("switch", "--quiet", "--create", "its-branch")
    (made.path / "one").write_text("1\n")
    run("add", "one")
    run("commit", "--quiet", "--message", "its own")
    taken = await capture(made)
    assert taken.head_commit == run("rev-parse", "HEAD").decode().strip()
    assert_patch_gives_tree(taken)


async def test_history_that_does_not_contain_the_base_is_kept_beside_it(
    made, repository, git_in, assert_patch_gives_tree
):
    run = git_in(made.path)
    run("switch", "--quiet", "--orphan", "elsewhere")
    (made.path / "only").write_text("1\n")
    run("add", "only")
    run("commit", "--quiet", "--message", "unrelated")
    its_commit = run("rev-parse", "HEAD").decode().strip()
    taken = await capture(made)
    assert_patch_gives_tree(taken)
    parents = git_in(repository)("rev-parse", f"{taken.head_commit}^1", f"{taken.head_commit}^2").decode().split()
    assert parents == [made.base_commit, its_commit]


async def test_a_head_without_any_commit_loses_nothing(made, git_in, assert_patch_gives_tree):
    git_in(made.path)("symbolic-ref", "HEAD", "refs/heads/unborn")
    (made.path / "new").write_text("1\n")
    taken = await capture(made)
    assert [file.path for file in taken.files] == ["new"]
    assert_patch_gives_tree(taken)


async def test_what_the_executor_hides_in_its_index_is_recorded_nonetheless(made, git_in, assert_patch_gives_tree):
    run = git_in(made.path)
    run("update-index", "--assume-unchanged", "README")
    run("update-index", "--skip-worktree", "src/a.py")
    (made.path / "README").write_text("hidden\n")
    (made.path / "src/a.py").write_text("hidden\n")
    (made.git_dir / "index.lock").touch()
    made.index.with_name("index.lock").touch()
    taken = await capture(made)
    assert [file.path for file in taken.files] == ["README", "src/a.py"]
    assert_patch_gives_tree(taken)


async def test_an_edit_of_the_same_size_right_after_the_checkout_is_seen(repository, tmp_path):
    """Git compares times and sizes first; an index with a later time than its own would hide such an edit."""
    for number in range(10):
        made = await worktree.worktree_create(repository, path=tmp_path / f"w/{number}", base="HEAD")
        (made.path / "README").write_text("ONE\ntwo\nthree\n")
        taken = await capture(made, f"{REF}/{number}")
        assert [file.path for file in taken.files] == ["README"]


@pytest.mark.parametrize("how", ["deleted", "a file of nonsense", "another repository"])
async def test_a_worktree_whose_git_file_was_tampered_with_is_still_recorded(
    made, how, repository, git_in, assert_patch_gives_tree, worktrees_of
):
    (made.path / ".git").unlink()
    if how == "a file of nonsense":
        (made.path / ".git").write_text("gitdir: /nowhere\n")
    if how == "another repository":
        git_in(made.path)("init", "--quiet")
    (made.path / "README").write_text("x\n")
    taken = await capture(made)
    assert [file.path for file in taken.files] == ["README"]
    assert_patch_gives_tree(taken)
    await changes.worktree_remove(made, recorded_tree=taken.tree)
    assert not made.path.exists()
    assert [entry.path for entry in worktrees_of(repository)] == [repository]


async def test_a_worktree_that_the_executor_deleted_is_a_deletion_of_every_file(made, assert_patch_gives_tree):
    shutil.rmtree(made.path)
    taken = await capture(made)
    assert {file.status for file in taken.files} == {"D"}
    assert [file.path for file in taken.files] == [".gitignore", "README", "src/a.py", "src/b.bin"]
    assert_patch_gives_tree(taken)
    await changes.worktree_remove(made, recorded_tree=taken.tree)
    assert not made.git_dir.exists()


async def test_ignored_files_are_listed_and_forced_ones_recorded(made, git_in, assert_patch_gives_tree):
    (made.path / "debug.log").write_text("12345")
    (made.path / "build").mkdir()
    (made.path / "build/out").write_text("123")
    (made.path / "staged.log").write_text("staged\n")
    (made.path / "committed.log").write_text("committed\n")
    run = git_in(made.path)
    run("add", "--force", "committed.log")
    run("commit", "--quiet", "--message", "forced")
    run("add", "--force", "staged.log")
    taken = await capture(made)
    assert [file.path for file in taken.files] == ["committed.log", "staged.log"]
    assert {(file.path, file.size_bytes) for file in taken.ignored} >= {("debug.log", 5), ("build/", 3)}
    assert_patch_gives_tree(taken)


@pytest.mark.parametrize("has_commit", [True, False])
async def test_the_files_of_a_repository_made_inside_are_recorded_as_files(
    made, has_commit, tree_of, git_in, assert_patch_gives_tree
):
    inner = made.path / "vendored/inner"
    innermost = inner / "in"
    innermost.mkdir(parents=True)
    for place in (inner, innermost):
        (place / "code").write_text("x\n")
        run = git_in(place)
        run("init", "--quiet")
        if has_commit:
            run("add", "code")
            run("commit", "--quiet", "--message", "inner")
    (inner / "uncommitted").write_text("y\n")
    taken = await capture(made)
    found = tree_of(taken.head_commit)
    assert found["vendored/inner/code"] == ("100644", b"x\n")
    assert found["vendored/inner/uncommitted"] == ("100644", b"y\n")
    assert found["vendored/inner/in/code"] == ("100644", b"x\n")
    assert_patch_gives_tree(taken)
    assert await changes.worktree_remove(made, recorded_tree=taken.tree) is None


async def test_a_tracked_directory_turned_into_a_repository_is_recorded_file_by_file(
    made, tree_of, git_in, assert_patch_gives_tree
):
    run = git_in(made.path / "src")
    run("init", "--quiet")
    (made.path / "src/a.py").write_text("changed\n")
    (made.path / "src/c.py").write_text("new\n")
    run("add", "--all")
    run("commit", "--quiet", "--message", "inner")
    taken = await capture(made)
    assert {path: content for path, (_, content) in tree_of(taken.head_commit).items() if path.endswith(".py")} == {
        "src/a.py": b"changed\n",
        "src/c.py": b"new\n",
    }
    assert_patch_gives_tree(taken)


async def test_a_populated_submodule_is_named_as_not_recorded(repository, tmp_path, git_in, assert_patch_gives_tree):
    library = tmp_path / "library"
    shutil.copytree(repository, library)
    run = git_in(repository)
    run("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    run("commit", "--quiet", "--message", "with a submodule")
    made = await worktree.worktree_create(repository, path=tmp_path / "w/1", base="HEAD")
    empty = await capture(made, f"{REF}/1")
    assert (empty.files, empty.unrecorded, empty.empty_submodules) == ((), (), ("lib",))
    git_in(made.path)("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
    (made.path / "lib/README").write_text("an edit inside\n")
    taken = await capture(made, f"{REF}/2")
    assert (taken.unrecorded, taken.empty_submodules) == (("lib",), ())
    assert_patch_gives_tree(taken)


async def test_no_hook_filter_or_setting_of_the_repository_gets_in_the_way(
    made, repository, git_in, tmp_path, assert_patch_gives_tree
):
    hooks = repository / ".git/hooks"
    for name in ("post-checkout", "pre-commit", "post-commit", "reference-transaction", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\necho ran >>{tmp_path}/hooked\nexit 1\n")
        (hooks / name).chmod(0o755)
    run = git_in(repository)
    for setting in (
        "commit.gpgSign=true", "gpg.program=false", f"core.fsmonitor={hooks}/pre-commit", "diff.noprefix=true",
        "diff.external=false", "color.ui=always", "diff.mnemonicPrefix=true", "core.pager=false", "diff.context=0",
        "add.ignoreErrors=true", "diff.renames=false", "core.quotePath=false", "diff.suppressBlankEmpty=true",
    ):  # fmt: skip
        run("config", *setting.split("=", 1))
    (made.path / "src/a.py").rename(made.path / "src/ä.py")
    taken = await capture(made)
    assert [(file.status, file.path) for file in taken.files] == [("R", "src/ä.py")]
    assert taken.patch.startswith(b'diff --git a/src/a.py "b/src/\\303\\244.py"')
    assert not (tmp_path / "hooked").exists()
    assert_patch_gives_tree(taken)


async def test_capturing_again_is_the_same_record_and_a_later_edit_goes_on_top(made, repository, git_in):
    (made.path / "README").write_text("x\n")
    first = await capture(made)
    again = await capture(made)
    assert (again.head_commit, again.patch) == (first.head_commit, first.patch)
    (made.path / "README").write_text("y\n")
    third = await capture(made)
    assert third.head_commit != first.head_commit
    git_in(repository)("merge-base", "--is-ancestor", first.head_commit, third.head_commit)


async def test_changes_too_large_for_a_patch_are_kept_all_the_same(made, monkeypatch, repository, tree_of):
    monkeypatch.setattr(git.git, "__kwdefaults__", {**git.git.__kwdefaults__, "max_output_bytes": 2000})
    (made.path / "big").write_bytes(os.urandom(10_000))
    with pytest.raises(changes.ChangesTooLarge) as raised:
        await capture(made)
    assert len(tree_of(raised.value.head_commit)["big"][1]) == 10_000


async def test_what_git_can_not_do_is_an_error_not_an_omission(made, git_in):
    (made.path / "new").write_text("x\n")
    name = git_in(made.path)("hash-object", "new").decode()
    (made.trusted.common_dir / "objects" / name[:2]).write_text("no folder")
    with pytest.raises(git.GitFailed) as raised:
        await capture(made)
    assert str(made.path.parent) not in str(raised.value)


async def test_files_of_a_worktree_that_git_knows_nothing_of_any_more_are_recorded(made):
    (made.path / "new").write_text("x\n")
    shutil.rmtree(made.git_dir)
    taken = await capture(made)
    assert taken.is_head_lost
    assert [file.path for file in taken.files] == ["new"]


async def test_a_recorded_worktree_goes_and_leaves_no_trace_but_its_ref(made, repository, git_in):
    (made.path / "README").write_text("x\n")
    (made.path / "debug.log").write_text("ignored\n")
    taken = await capture(made)
    assert await changes.worktree_remove(made, recorded_tree=taken.tree) is None
    assert not made.path.exists()
    assert not made.git_dir.exists()
    assert git_in(repository)("rev-parse", REF).decode().strip() == taken.head_commit


@pytest.mark.parametrize("edit", ["modified", "new", "deleted"])
async def test_a_worktree_with_something_unrecorded_stays(made, edit):
    taken = await capture(made)
    if edit == "deleted":
        (made.path / "README").unlink()
    else:
        (made.path / ("README" if edit == "modified" else "new")).write_text("later\n")
    with pytest.raises(changes.WorktreeHasUnrecordedChanges):
        await changes.worktree_remove(made, recorded_tree=taken.tree)
    assert made.path.exists()


async def test_a_worktree_never_captured_stays(made):
    (made.path / "README").write_text("x\n")
    with pytest.raises(changes.WorktreeHasUnrecordedChanges):
        await changes.worktree_remove(made, recorded_tree=made.base_tree)


async def test_what_a_check_left_behind_is_kept_under_a_ref_of_its_own(made, tree_of):
    (made.path / "README").write_text("x\n")
    taken = await capture(made)
    (made.path / "coverage.xml").write_text("<coverage/>\n")
    leftover = await changes.worktree_remove(
        made, recorded_tree=taken.tree, leftover_ref=f"{REF}-leftover", removed_at=NOON
    )
    assert leftover is not None
    assert tree_of(leftover)["coverage.xml"][1] == b"<coverage/>\n"
    assert not made.path.exists()


async def test_what_a_check_committed_itself_goes_with_what_it_left_over(made, repository, git_in):
    taken = await capture(made)
    (made.path / "report.txt").write_text("passed\n")
    run = git_in(made.path)
    run("add", ".")
    run("commit", "--quiet", "--message", "a report")
    await changes.worktree_remove(made, recorded_tree=taken.tree, leftover_ref=f"{REF}-leftover", removed_at=NOON)
    assert git_in(repository)("show", f"{REF}-leftover:report.txt") == b"passed\n"
    await pruning.refs_remove(repository, {f"{REF}-leftover": None}, trusted_root=repository.parent / "trusted")
    assert git_in(repository)("for-each-ref", f"{REF}-leftover") == b""


async def test_a_worktree_found_after_a_crash_is_recorded_as_if_nothing_had_happened(made, repository, git_in):
    (made.path / "README").write_text("x\n")
    adopted = await worktree.worktree_adopt(repository, path=made.path, base_commit=made.base_commit)
    assert adopted == made
    taken = await capture(adopted)
    assert [file.path for file in taken.files] == ["README"]


async def test_many_attempts_of_one_repository_at_once(repository, tmp_path, worktrees_of):
    async def attempt(number: int) -> str:
        made = await worktree.worktree_create(repository, path=tmp_path / f"w/{number}", base="main")
        (made.path / "README").write_text(f"{number}\n")
        taken = await capture(made, f"refs/ropeway/run_1/step_{number}/att_1")
        await changes.worktree_remove(made, recorded_tree=taken.tree)
        return taken.patch.decode().splitlines()[-1]

    assert await asyncio.gather(*(attempt(number) for number in range(16))) == [f"+{number}" for number in range(16)]
    assert len(worktrees_of(repository)) == 1


async def test_a_folder_whose_name_ends_in_a_space_makes_a_patch_that_git_applies(made, assert_patch_gives_tree):
    """Git itself gives up on such a header (`git_header_name` in its apply.c) unless the names are quoted."""
    for name, content in (("empty", b""), ("binary", bytes(range(256))), ("text", b"text\n")):
        (made.path / "tail /deep ").mkdir(parents=True, exist_ok=True)
        (made.path / "tail " / name).write_bytes(content)
        (made.path / "tail /deep " / name).write_bytes(content)
    taken = await capture(made)
    assert len(taken.files) == 6
    assert_patch_gives_tree(taken)


@pytest.fixture
async def with_submodule(repository, tmp_path, git_in):
    """A worktree of a repository with a populated submodule `lib`."""
    library = tmp_path / "library"
    shutil.copytree(repository, library)
    run = git_in(repository)
    run("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    run("commit", "--quiet", "--message", "with a submodule")
    made = await worktree.worktree_create(repository, path=tmp_path / "w/1", base="HEAD")
    git_in(made.path)("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
    return made


async def test_a_submodule_as_the_base_has_it_has_not_changed(with_submodule):
    taken = await capture(with_submodule)
    assert taken.unrecorded == ()
    assert await with_submodule.configuration_changed() == ()


@pytest.mark.parametrize("how", ["a file", "a new file", "a commit", "a commit of both"])
async def test_a_submodule_with_another_commit_or_other_files_has_changed(with_submodule, git_in, how):
    lib = git_in(with_submodule.path / "lib")
    (with_submodule.path / "lib" / ("new" if how == "a new file" else "README")).write_text("x\n")
    if how.startswith("a commit"):
        lib("commit", "--quiet", "--all", "--message", "inside")
    if how == "a commit of both":
        git_in(with_submodule.path)("commit", "--quiet", "--all", "--message", "outside")
    taken = await capture(with_submodule)
    assert taken.unrecorded == ("lib",)
    with pytest.raises(changes.WorktreeHasUnrecordedChanges):
        await changes.worktree_remove(with_submodule, recorded_tree=taken.tree)
    assert (with_submodule.path / "lib").is_dir()


async def test_another_commit_for_a_submodule_that_is_not_populated_has_changed_it(
    repository, with_submodule, tmp_path, git_in
):
    made = await worktree.worktree_create(repository, path=tmp_path / "w/2", base="HEAD")
    run = git_in(made.path)
    run("update-index", "--cacheinfo", f"160000,{made.base_commit},lib")
    run("commit", "--quiet", "--message", "moves the pointer")
    assert (await capture(made, f"{REF}/2")).unrecorded == ("lib",)


@pytest.mark.parametrize("name", ["HEAD", "commondir"])
async def test_a_pipe_in_the_place_of_a_worktrees_head_is_told_at_once(made, name):
    (made.path / "README").write_text("other\n")
    (made.git_dir / "HEAD").write_text("ref: refs/heads/topic\n")
    (made.git_dir / name).unlink()
    os.mkfifo(made.git_dir / name)
    with pytest.raises(git.GitFailed, match="not a file") as raised:
        await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)
    assert not isinstance(raised.value, git.GitTimedOut)


async def test_a_pipe_in_the_place_of_its_index_hides_no_edit(made, git_in):
    (made.path / "README").write_text("other\n")
    git_in(made.path)("commit", "--quiet", "--all", "--message", "its own")
    (made.path / "new").write_text("new\n")
    (made.git_dir / "index").unlink()
    os.mkfifo(made.git_dir / "index")
    taken = await changes.changes_capture(made, ref=REF, message="m", captured_at=NOON)
    assert sorted(file.path for file in taken.files) == ["README", "new"]
