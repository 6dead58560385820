"""What an attempt changed, recorded completely before its worktree goes: a commit under a ref, a patch, a list.

Plumbing only and an index of our own, so that nothing an executor did to HEAD, to the index or to `.git` hides an
edit: uncommitted, untracked, committed on any branch, forced past an ignore rule, or inside a repository of its own.
Deliberately makes no branch and judges nothing (policies do). Called by the scheduler and recovery.
Tests: tests/unit/daemon/worktrees/test_changes.py.
"""

import asyncio
import hashlib
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from local_daemon.worktrees import diffs, git, ignored, pruning, snapshots, worktree

_First = TypeVar("_First")
_Second = TypeVar("_Second")


class ChangesTooLarge(Exception):
    """The changes are recorded under their ref, but too large for one patch; review them with git on the machine."""

    def __init__(self, *, ref: str, head_commit: str) -> None:
        super().__init__(f"changes too large for a patch; they are kept at {ref}")
        self.ref = ref
        self.head_commit = head_commit


class WorktreeHasUnrecordedChanges(Exception):
    """The worktree holds edits that are not recorded; capture its changes again before removing it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """An attempt's changes. Applying `patch` to the tree of `base_commit` gives exactly `tree`.

    `head_commit` holds `tree`; it is `base_commit` itself when nothing changed and the executor's own commit when that
    holds everything. `unrecorded` lists submodules whose change no patch of this repository can hold: while
    there are any, the worktree is not to be removed.
    """

    base_commit: str
    head_commit: str
    tree: str
    ref: str
    patch: bytes
    patch_sha256: str
    files: tuple[diffs.ChangedFile, ...]
    ignored: tuple[ignored.IgnoredFile, ...]
    unrecorded: tuple[str, ...]


async def changes_capture(of: worktree.Worktree, *, ref: str, message: str, captured_at: datetime) -> Changes:
    """Record everything that differs from the base under `ref` (`refs/ropeway/<run>/<step>/<attempt>`).
    The executor must have ended. Capturing again is safe: what `ref` held stays reachable from it.
    Raises ChangesTooLarge (recorded all the same), GitFailed."""
    recorded, left_ignored = await _both(
        _record(of, ref=ref, message=message, captured_at=captured_at), ignored.ignored_list(of)
    )
    taken, difference, head_commit = recorded
    if isinstance(difference, git.GitOutputTooLarge):
        raise ChangesTooLarge(ref=ref, head_commit=head_commit) from difference
    return Changes(
        base_commit=of.base_commit,
        head_commit=head_commit,
        tree=taken.tree,
        ref=ref,
        patch=difference.patch,
        patch_sha256=hashlib.sha256(difference.patch).hexdigest(),
        files=difference.files,
        ignored=left_ignored,
        unrecorded=taken.unrecorded,
    )


async def worktree_remove(
    of: worktree.Worktree,
    *,
    recorded_tree: str,
    leftover_ref: str | None = None,
    removed_at: datetime | None = None,
    is_renewed: bool = False,
) -> str | None:
    """Take the worktree away, provided that it holds `recorded_tree` and nothing else; `is_renewed` as in
    `worktree_discard`.
    What came later (a validation's output) is committed under `leftover_ref`, whose commit is then answered; without
    one, and for changes in submodules, WorktreeHasUnrecordedChanges is raised and everything stays."""
    leftover_commit: str | None = None
    if snapshots.has_submodules(of) and (await snapshots.snapshot_take_nested(of)).unrecorded:
        raise WorktreeHasUnrecordedChanges(f"worktree {of.path.name} holds changes of submodules")
    if not await snapshots.snapshot_is_current(of, recorded_tree):
        taken = await snapshots.snapshot_take_nested(of)
        if taken.tree != recorded_tree:
            if leftover_ref is None or removed_at is None:
                raise WorktreeHasUnrecordedChanges(f"worktree {of.path.name} differs from what was recorded")
            leftover_commit = await _commit(of, taken, message=pruning.LEFT_OVER, captured_at=removed_at)
            await _ref_record(
                of, ref=leftover_ref, head_commit=leftover_commit, tree=taken.tree, message=pruning.LEFT_OVER,
                captured_at=removed_at,
            )  # fmt: skip
    await worktree.worktree_discard(of.repository_root, path=of.path, is_renewed=is_renewed)
    return leftover_commit


async def worktree_require_recorded(of: worktree.Worktree, *, recorded_tree: str) -> None:
    """Raises WorktreeHasUnrecordedChanges unless the worktree holds `recorded_tree` and nothing else."""
    if snapshots.has_submodules(of) and (await snapshots.snapshot_take_nested(of)).unrecorded:
        raise WorktreeHasUnrecordedChanges(f"worktree {of.path.name} holds changes of submodules")
    if await snapshots.snapshot_is_current(of, recorded_tree):
        return
    if (await snapshots.snapshot_take_nested(of)).tree != recorded_tree:
        raise WorktreeHasUnrecordedChanges(f"worktree {of.path.name} differs from what was recorded")


async def _record(
    of: worktree.Worktree, *, ref: str, message: str, captured_at: datetime
) -> tuple[snapshots.Snapshot, diffs.Difference | git.GitOutputTooLarge, str]:
    taken = await snapshots.snapshot_take(of)
    difference, head_commit = await _diff_and_commit(of, taken, message=message, captured_at=captured_at)
    if isinstance(difference, git.GitOutputTooLarge) or difference.has_new_gitlink:
        taken = await snapshots.snapshot_take_nested(of)
        difference, head_commit = await _diff_and_commit(of, taken, message=message, captured_at=captured_at)
    head_commit = await _ref_record(
        of, ref=ref, head_commit=head_commit, tree=taken.tree, message=message, captured_at=captured_at
    )
    snapshots.snapshot_remember(of, taken.tree)
    return taken, difference, head_commit


async def _diff_and_commit(
    of: worktree.Worktree, taken: snapshots.Snapshot, *, message: str, captured_at: datetime
) -> tuple[diffs.Difference | git.GitOutputTooLarge, str]:
    async def difference() -> diffs.Difference | git.GitOutputTooLarge:
        try:
            return await diffs.diff_read(of.place, base=of.base_commit, tree=taken.tree)
        except git.GitOutputTooLarge as error:
            return error  # Raised once the ref holds what is too large to show.

    return await _both(difference(), _commit(of, taken, message=message, captured_at=captured_at))


async def _both(first: Coroutine[None, None, _First], second: Coroutine[None, None, _Second]) -> tuple[_First, _Second]:
    """Run two things at once. If one fails, the other is ended and the failure is raised as it is, in no group."""
    tasks = (asyncio.ensure_future(first), asyncio.ensure_future(second))
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _commit(of: worktree.Worktree, taken: snapshots.Snapshot, *, message: str, captured_at: datetime) -> str:
    if taken.head_commit == of.base_commit:
        parents = [of.base_commit]
        if taken.tree == of.base_tree:
            return of.base_commit
    else:
        ancestry = await git.git(
            of.ref_place, "merge-base", "--is-ancestor", of.base_commit, taken.head_commit, accepted=(0, 1)
        )
        parents = [taken.head_commit] if ancestry.exit_code == 0 else [of.base_commit, taken.head_commit]
        if len(parents) == 1 and taken.tree == taken.head_tree:
            return taken.head_commit
    return await _commit_tree(of, taken.tree, parents=parents, message=message, captured_at=captured_at)


async def _commit_tree(
    of: worktree.Worktree, tree: str, *, parents: list[str], message: str, captured_at: datetime
) -> str:
    options = [option for parent in parents for option in ("-p", parent)]
    answer = await git.git(
        of.place, "commit-tree", *options, tree, stdin=message.encode(), env=git.dates_environment(captured_at)
    )
    return answer.line


async def _ref_record(
    of: worktree.Worktree, *, ref: str, head_commit: str, tree: str, message: str, captured_at: datetime
) -> str:
    created = await git.git(of.ref_place, "update-ref", ref, head_commit, "0" * len(head_commit), accepted=(0, 1, 128))
    if created.exit_code == 0:
        return head_commit
    # An earlier capture stands there. The same content is the same record; other content is put on top of it.
    resolved = await git.git(of.ref_place, "rev-parse", f"{ref}^{{commit}}", f"{ref}^{{tree}}")
    earlier_commit, earlier_tree = resolved.line.split("\n")
    if earlier_tree == tree:
        return earlier_commit
    parents = [earlier_commit] if head_commit == of.base_commit else [head_commit, earlier_commit]
    joined = await _commit_tree(of, tree, parents=parents, message=message, captured_at=captured_at)
    await git.git(of.ref_place, "update-ref", ref, joined, earlier_commit)
    return joined
