"""What an attempt changed, recorded completely before its worktree goes: a commit under a ref, a patch, a list.

Plumbing only and an index of our own, so that nothing an executor did to HEAD, to the index or to `.git` hides an
edit: uncommitted, untracked, committed on any branch, forced past an ignore rule, or inside a repository of its own.
Deliberately makes no branch and judges nothing (policies do). Called by the scheduler and recovery.
Tests: tests/unit/daemon/worktrees/test_changes.py.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from local_daemon.worktrees import diffs, git, ignored, pruning, recorders, references, snapshots, worktree

_COMMIT_NAME = "commit"
"""Of the file of a commit that is to be written, beside our index."""

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
    there are any, the worktree is not to be removed. `empty_submodules` lists those whose files were not there.
    `special_files` lists named pipes and the like that stood where git expects files, and were taken away, be it by an
    earlier capture. Where `is_head_lost`, nobody can tell any more what the executor committed: only its files are
    recorded.
    """

    base_commit: str
    head_commit: str
    tree: str
    ref: str
    patch: bytes
    files: tuple[diffs.ChangedFile, ...]
    ignored: tuple[ignored.IgnoredFile, ...]
    unrecorded: tuple[str, ...]
    empty_submodules: tuple[str, ...]
    special_files: tuple[str, ...]
    is_head_lost: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How a tree is recorded: under which reference, with which words, at what time, and by which git that stays."""

    ref: str
    message: str
    captured_at: datetime
    by: recorders.Recorders | None = None


async def changes_capture(
    of: worktree.Worktree,
    *,
    ref: str,
    message: str,
    captured_at: datetime,
    by: recorders.Recorders | None = None,
) -> Changes:
    """Record everything that differs from the base under `ref` (`refs/ropeway/<run>/<step>/<attempt>`).
    The executor must have ended. Capturing again is safe: what `ref` held stays reachable from it.
    Raises ChangesTooLarge (recorded all the same), GitFailed."""
    record = Record(ref=ref, message=message, captured_at=captured_at, by=by)
    recorded, left_ignored = await _past_obstacles(of, lambda: _record_and_list(of, record))
    taken, difference, head_commit = recorded
    if isinstance(difference, git.GitOutputTooLarge):
        raise ChangesTooLarge(ref=ref, head_commit=head_commit) from difference
    return Changes(
        base_commit=of.base_commit,
        head_commit=head_commit,
        tree=taken.tree,
        ref=ref,
        patch=difference.patch,
        files=difference.files,
        ignored=left_ignored,
        unrecorded=taken.unrecorded,
        empty_submodules=taken.empty,
        special_files=snapshots.special_files_removed(of),
        is_head_lost=taken.is_head_lost,
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
    leftover = None
    if leftover_ref is not None and removed_at is not None:
        # Always a commit of ours, also where the executor's own holds it all: by what it says it is known again.
        leftover = Record(ref=leftover_ref, message=pruning.LEFT_OVER, captured_at=removed_at)
    leftover_commit = await _past_obstacles(of, lambda: _leftover_record(of, recorded_tree, leftover))
    await worktree.worktree_discard(of.repository_root, path=of.path, is_renewed=is_renewed)
    return leftover_commit


async def worktree_require_recorded(of: worktree.Worktree, *, recorded_tree: str) -> None:
    """Raises WorktreeHasUnrecordedChanges unless the worktree holds `recorded_tree` and nothing else."""
    await _leftover_record(of, recorded_tree, None)


async def _leftover_record(of: worktree.Worktree, recorded_tree: str, record: Record | None) -> str | None:
    """Commit what the worktree holds beside the recorded tree, if anything. Raises WorktreeHasUnrecordedChanges."""
    if snapshots.has_submodules(of) and (await snapshots.snapshot_take_nested(of)).unrecorded:
        raise WorktreeHasUnrecordedChanges(f"worktree {of.path.name} holds changes of submodules")
    if await snapshots.snapshot_is_current(of, recorded_tree):
        return None
    taken = await snapshots.snapshot_take_nested(of)
    if taken.tree == recorded_tree:
        return None
    if record is None:
        raise WorktreeHasUnrecordedChanges(f"worktree {of.path.name} differs from what was recorded")
    commit = await _commit_write(of, taken.tree, record, parents=await _parents(of, taken))
    await _ref_record(of, record, head_commit=commit, tree=taken.tree)
    return commit


async def _past_obstacles(of: worktree.Worktree, work: Callable[[], Coroutine[None, None, _First]]) -> _First:
    """Do it; where git fails over what is locked up or no file, again without that."""
    try:
        return await work()
    except git.GitFailed:
        if not await snapshots.obstacles_remove(of):
            raise
    return await work()


async def _record_and_list(
    of: worktree.Worktree, record: Record
) -> tuple[tuple[snapshots.Snapshot, diffs.Difference | git.GitOutputTooLarge, str], tuple[ignored.IgnoredFile, ...]]:
    await snapshots.index_ensure(of)  # Both work with it.
    return await _both(_record(of, record), ignored.ignored_list(of))


async def _record(
    of: worktree.Worktree, record: Record
) -> tuple[snapshots.Snapshot, diffs.Difference | git.GitOutputTooLarge, str]:
    difference, taken, head_commit = await _diff_and_commit(of, await snapshots.index_take(of), record)
    if isinstance(difference, git.GitOutputTooLarge) or difference.has_new_gitlink:
        difference, taken, head_commit = await _diff_and_commit(of, await snapshots.index_take_nested(of), record)
    head_commit = await _ref_record(of, record, head_commit=head_commit, tree=taken.tree)
    await snapshots.snapshot_remember(of, taken.tree)
    return taken, difference, head_commit


async def _diff_and_commit(
    of: worktree.Worktree, indexed: snapshots.Indexed, record: Record
) -> tuple[diffs.Difference | git.GitOutputTooLarge, snapshots.Snapshot, str]:
    """What the index holds, told and committed at once: neither has to wait for the other."""

    async def difference() -> diffs.Difference | git.GitOutputTooLarge:
        try:
            return await diffs.diff_index_read(of.place, base=of.base_commit)
        except git.GitOutputTooLarge as error:
            return error  # Raised once the ref holds what is too large to show.

    async def commit() -> tuple[snapshots.Snapshot, str]:
        taken = await snapshots.snapshot_write(of, indexed)
        return taken, await _commit(of, taken, record)

    # The longer way first: starting a process holds the other up.
    (taken, head_commit), found = await _both(commit(), difference())
    return found, taken, head_commit


async def _both(first: Coroutine[None, None, _First], second: Coroutine[None, None, _Second]) -> tuple[_First, _Second]:
    """Run two things at once. If one fails, the other is ended and the failure is raised as it is, in no group."""
    tasks = (asyncio.ensure_future(first), asyncio.ensure_future(second))
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A failure leads to this frame, and it to the failure: what the attempt began with would stay in use.
        del task, tasks


async def _commit(of: worktree.Worktree, taken: snapshots.Snapshot, record: Record) -> str:
    parents = await _parents(of, taken)
    # Whoever committed everything that is there has made the commit already; the base is such a one.
    if len(parents) == 1 and taken.tree == taken.head_tree:
        return taken.head_commit
    return await _commit_write(of, taken.tree, record, parents=parents)


async def _parents(of: worktree.Worktree, taken: snapshots.Snapshot) -> list[str]:
    """What a commit of this content follows: the base, or what the executor committed."""
    if taken.head_commit == of.base_commit:
        return [of.base_commit]
    ancestry = await git.git(of.refs, "merge-base", "--is-ancestor", of.base_commit, taken.head_commit, accepted=(0, 1))
    return [taken.head_commit] if ancestry.exit_code == 0 else [of.base_commit, taken.head_commit]


async def _commit_write(of: worktree.Worktree, tree: str, record: Record, *, parents: list[str]) -> str:
    who = f"{git.NAME} <{git.EMAIL}> {int(record.captured_at.timestamp())} +0000"
    head = [f"tree {tree}", *(f"parent {parent}" for parent in parents), f"author {who}", f"committer {who}"]
    content = "".join(f"{line}\n" for line in (*head, "")).encode() + record.message.encode()
    if record.by is not None:
        file = await asyncio.to_thread(worktree.own_write, of.path, _COMMIT_NAME, content)
        written = await record.by.commit_write(file, trusted_dir=of.trusted_dir, common_dir=of.trusted.common_dir)
        if written is not None:
            return written
    return (await git.git(of.place, "hash-object", "-t", "commit", "-w", "--stdin", stdin=content)).line


async def _ref_record(of: worktree.Worktree, record: Record, *, head_commit: str, tree: str) -> str:
    if record.by is not None and await record.by.ref_create(of.refs, record.ref, head_commit):
        return head_commit
    created = await _ref_update(of, record.ref, head_commit, "0" * len(head_commit))
    if created.exit_code == 0:
        return head_commit
    # An earlier capture stands there. The same content is the same record; other content is put on top of it.
    resolved = await git.git(of.refs, "rev-parse", f"{record.ref}^{{commit}}", f"{record.ref}^{{tree}}")
    earlier_commit, earlier_tree = resolved.line.split("\n")
    if earlier_tree == tree:
        return earlier_commit
    parents = [earlier_commit] if head_commit == of.base_commit else [head_commit, earlier_commit]
    joined = await _commit_write(of, tree, record, parents=parents)
    moved = await _ref_update(of, record.ref, joined, earlier_commit)
    if moved.exit_code != 0:
        raise git.GitFailed(subcommand="update-ref", exit_code=moved.exit_code, detail=moved.detail)
    return joined


async def refs_renew(of: worktree.Worktree, kept: Mapping[str, str]) -> bool:
    """Write references to results again that are gone; one that names something else stays. Answers whether any was not
    as it was: where all are, no git is started. Raises GitFailed."""
    amiss = await asyncio.to_thread(references.refs_elsewhere, of.trusted.common_dir, kept)
    if not amiss:
        return False
    await _refs_create(of, [(ref, kept[ref]) for ref, said in amiss.items() if said is None])
    return True


async def _refs_create(of: worktree.Worktree, gone: Sequence[tuple[str, str]]) -> None:
    """Write those of these references that can be. For a few among many that can't, git is asked a few times."""
    if len(gone) == 1:
        ((ref, commit),) = gone
        await _ref_update(of, ref, commit, "0" * len(commit))
    elif gone:
        lines = "".join(f"create {ref} {commit}\n" for ref, commit in gone)
        created = await git.git(of.refs, "update-ref", "--stdin", stdin=lines.encode(), accepted=(0, 1, 128))
        if created.exit_code != 0:  # All of them are written or none.
            half = len(gone) // 2
            await _refs_create(of, gone[:half])
            await _refs_create(of, gone[half:])


async def _ref_update(
    of: worktree.Worktree, ref: str, commit: str, before: str, *, is_lock_gone: bool = False
) -> git.GitAnswer:
    answer = await git.git(of.refs, "update-ref", ref, commit, before, accepted=(0, 1, 128))
    # Git has waited for a lock, and captures of one attempt don't overlap.
    if answer.exit_code != 0 and not is_lock_gone and references.lock_let_go(of.trusted.common_dir, ref):
        return await _ref_update(of, ref, commit, before, is_lock_gone=True)
    return answer
