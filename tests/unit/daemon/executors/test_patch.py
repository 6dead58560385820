"""The executor `patch`: all of a diff or nothing, inside the worktree only, and a reason that helps."""

import pytest

from local_daemon.executors import patch, port
from local_daemon.protocol import states

CHANGE = "--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"


def new_file(path: str) -> str:
    return f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n"


async def test_a_patch_is_applied(run, tree):
    done = await run(patch.PatchExecutor(), patch=CHANGE + new_file("new/deep.txt"))
    assert done.report.outcome is port.Outcome.SUCCEEDED
    assert (tree / "a.txt").read_text() == "one\n2\nthree\n"
    assert (tree / "new/deep.txt").read_text() == "x\n"
    assert done.ended.confirmed


async def test_a_patch_that_lost_its_last_newline_still_applies(run, tree):
    assert (await run(patch.PatchExecutor(), patch=CHANGE[:-1])).report.outcome is port.Outcome.SUCCEEDED


@pytest.mark.parametrize(
    "path", ["../outside", "a/../../outside", ".git/hooks/post-checkout", ".GIT/config", "/tmp/outside", "way/out"]
)
async def test_a_patch_that_leaves_the_worktree_changes_nothing_and_is_a_policy_failure(run, tree, tmp_path, path):
    (tree / "way").symlink_to(tmp_path)
    done = await run(patch.PatchExecutor(), patch=CHANGE + new_file(path))
    assert done.report.outcome is port.Outcome.FAILED
    assert done.report.failure_kind is states.FailureKind.POLICY
    assert (tree / "a.txt").read_text() == "one\ntwo\nthree\n"
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "out").exists()


async def test_a_link_that_the_patch_itself_makes_is_no_way_out(run, tmp_path):
    link = f"diff --git a/way b/way\nnew file mode 120000\n--- /dev/null\n+++ b/way\n@@ -0,0 +1 @@\n+{tmp_path}\n"
    done = await run(patch.PatchExecutor(), patch=f"{link}\\ No newline at end of file\n" + new_file("way/out"))
    assert done.report.failure_kind is states.FailureKind.POLICY
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CHANGE.replace("-two", "-zwei"), "the patch does not apply: patch failed: a.txt:1"),
        (CHANGE.replace("a.txt", "b.txt"), "the patch does not apply: b.txt: No such file or directory"),
        (new_file("a.txt"), "the patch does not apply: a.txt: already exists in working directory"),
        (CHANGE.replace("@@ -1,3 +1,3 @@", "@@ -1,9 +1,9 @@"), "the patch does not apply: corrupt patch at line"),
    ],
)
async def test_a_patch_that_does_not_fit_says_where_and_changes_nothing(run, tree, tmp_path, text, reason):
    done = await run(patch.PatchExecutor(), patch=new_file("first") + text)
    assert done.report.outcome is port.Outcome.FAILED
    assert done.report.failure_kind is states.FailureKind.EXECUTOR
    assert done.report.detail.startswith(reason)
    assert not (tree / "first").exists()
    assert str(tmp_path) not in done.report.detail


async def test_what_is_no_patch_at_all_is_a_failure(run):
    done = await run(patch.PatchExecutor(), patch="please change a.txt")
    assert done.report.detail.startswith("the patch does not apply: No valid patches in input")


@pytest.mark.parametrize("text", [None, "", "\ud800", "x" * (4 * 1024 * 1024 + 1)])
def test_a_task_without_a_usable_patch_is_refused_before_anything_starts(task, text):
    with pytest.raises(port.TaskUnsuitable):
        patch.PatchExecutor().prepare(task(patch=text))


async def test_availability_names_gits_version():
    availability = await patch.PatchExecutor().availability()
    assert availability.status is port.AvailabilityStatus.AVAILABLE
    assert (availability.version or "").startswith("git version")
