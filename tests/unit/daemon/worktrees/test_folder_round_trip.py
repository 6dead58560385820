"""For any two trees, whatever their names and bytes: a result applied to a folder without git makes it that result."""

import asyncio
import shutil
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings

from local_daemon.worktrees import changes, folder_applying, folders, worktree
from tests.unit.daemon.worktrees import test_round_trip as trees

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LIMITS = folders.FolderLimits()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=trees.TREES, after=trees.TREES, kept=trees.TREES)
def test_a_folder_becomes_exactly_what_was_made_of_it(tmp_path_factory, before, after, kept):
    asyncio.run(_apply(tmp_path_factory.mktemp("trip"), before, {**kept, **after}))


async def _apply(root, before, after):
    folder, git_root = root / "folder", root / "home/folders/one.git"
    folder.mkdir()
    trees.lay(folder, before)
    began = trees.seen(folder)
    base = await folders.snapshot_take(folder, git_root=git_root, limits=LIMITS, taken_at=NOON)
    made = await worktree.worktree_create(git_root, path=root / "worktrees/att_1", base=base)
    assert trees.seen(made.path) == began == trees.seen(folder)
    trees.lay(made.path, after)
    taken = await changes.changes_capture(made, ref="refs/ropeway/r/s/a", message="m", captured_at=NOON)
    plan = await folder_applying.folder_plan(
        folder,
        git_root=git_root,
        limits=LIMITS,
        base_commit=taken.base_commit,
        head_commit=taken.head_commit,
        message="m",
        at=NOON,
    )
    await folder_applying.folder_carry_out(folder, plan, git_root=git_root, limits=LIMITS, at=NOON)
    assert trees.seen(folder) == trees.seen(made.path)
    await folder_applying.folder_carry_out(folder, plan, git_root=git_root, limits=LIMITS, at=NOON)
    shutil.rmtree(root)
