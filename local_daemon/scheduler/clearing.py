"""Making room where an attempt worked before: what it left there is recorded under its own ref first.

A place is taken again by an answer and by a conversation's next turn, and swept after a crash. What can't be recorded
(changes of submodules, a worktree that its repository knows nothing of) stays, and nothing else works there.
Deliberately judges no edit and moves no step. Called by `execution` and `recovery`.
Tests: tests/integration/daemon/test_places.py.
"""

import logging
import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from local_daemon.attempts.records import Attempt
from local_daemon.processes import ending, orphans
from local_daemon.protocol import states
from local_daemon.scheduler import collection, owner_rights, places, provision, workshop
from local_daemon.storage.database import Connection
from local_daemon.worktrees import changes as worktree_changes
from local_daemon.worktrees import configuration, git, inspection, snapshots, worktree

logger = logging.getLogger(__name__)

_CLEARED_NAME = "place-cleared"
"""In the scratch of an attempt that works where an earlier one did: from now on what is there is its own."""


class PlaceHeld(Exception):
    """The place still holds what an earlier attempt left, and it can't be recorded; look at that worktree first."""

    def __init__(self, attempt: Attempt, reason: str) -> None:
        left_by = f"{attempt.attempt_id} of {attempt.step_id}"
        super().__init__(f"its place still holds what {left_by} left there, which can't be recorded: {reason}")
        self.attempt_id = attempt.attempt_id


async def place_clear(shop: workshop.Workshop, lease: workshop.Lease) -> None:
    """Make room for an attempt that works where an earlier one did; for any other there is nothing to do.
    Raises PlaceHeld."""
    attempt_id = lease.attempt.attempt_id
    if attempt_id not in shop.places:
        return
    if os.path.lexists(shop.worktree_path(attempt_id)):
        left = shop.database.read(partial(_left, attempt=lease.attempt))
        await _left_clear(shop, left, to=lease)
    scratch = shop.scratch_path(attempt_id)
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    (scratch / _CLEARED_NAME).touch()


def is_own_place(shop: workshop.Workshop, attempt: Attempt) -> bool:
    """Whether what stands in the attempt's place was made for it, and not left by an earlier one."""
    return (
        attempt.attempt_id not in shop.places
        or attempt.base_commit is not None
        or (shop.scratch_path(attempt.attempt_id) / _CLEARED_NAME).exists()
    )


async def edits_record(shop: workshop.Workshop, lease: workshop.Lease) -> str | None:
    """Record what an attempt left that was given up with its worktree in place; answers the ref, or None where there is
    nothing of it, where it is recorded already, and where it can't be. The worktree stays."""
    attempt = lease.attempt
    path = shop.worktree_path(attempt.attempt_id)
    is_its = shop.database.read(partial(_is_last_there, attempt=attempt))
    if attempt.base_commit is None or attempt.head_commit is not None or not is_its or not os.path.lexists(path):
        return None
    try:
        await _tree_record(lease, await _adopt(lease, path))
    except (worktree.WorktreeMissing, inspection.UnknownRevision, git.GitFailed, OSError):
        logger.warning(
            "edits could not be recorded; their worktree stays", exc_info=True,
            extra={"event": "worktree.kept", "attempt_id": attempt.attempt_id},
        )  # fmt: skip
        return None
    return lease.ref


async def recorded_worktree_remove(
    shop: workshop.Workshop, lease: workshop.Lease, *, is_renewed: bool = False
) -> configuration.Configuration | None:
    """Take the attempt's worktree away, provided that all it holds is recorded, now if not before; answers the git
    configuration from before the attempt, where it is known. Where the worktree `is_renewed`, that stays known. Ignored
    files of a thread that goes on are put aside first.
    Raises WorktreeHasUnrecordedChanges, UnknownRevision, GitFailed."""
    path = shop.worktree_path(lease.attempt.attempt_id)
    began_with = configuration_before(shop, lease.attempt)
    try:
        place = None if lease.attempt.base_commit is None else await _adopt(lease, path)
    except worktree.WorktreeMissing as missing:
        if os.path.lexists(path) and _may_be_unrecorded(lease.attempt):
            raise worktree_changes.WorktreeHasUnrecordedChanges("its repository knows nothing of it") from missing
        place = None
    if place is None:
        # No executor ever worked there, or nothing is left but what lay beside it.
        if lease.attempt.base_commit is None and not await provision.ignored_return(shop, lease.attempt):
            return began_with
        await worktree.worktree_discard(lease.repository_root, path=path, is_renewed=is_renewed)
        return began_with
    recorded_tree = await _tree_record(lease, place)
    await provision.ignored_keep(shop, lease, place)
    await worktree_changes.worktree_remove(
        place,
        recorded_tree=recorded_tree,
        leftover_ref=lease.leftover_ref,
        removed_at=datetime.now(UTC),
        is_renewed=is_renewed,
    )
    return began_with


def configuration_before(shop: workshop.Workshop, attempt: Attempt) -> configuration.Configuration | None:
    """The git configuration from before the attempt; None where nothing is left that tells."""
    try:
        return configuration.configuration_kept(worktree.own_dir(shop.worktree_path(attempt.attempt_id)))[0]
    except FileNotFoundError:
        return None


async def family_end(shop: workshop.Workshop, attempt: Attempt) -> ending.Ended:
    """End whatever was started for the attempt and is not watched any more: its executor, its hook, its checks. What
    they locked up of ours can be looked at then."""
    ended = await orphans.orphan_end(
        pid=attempt.pid or 0,
        started_at=attempt.process_start or "",
        attempt_id=attempt.attempt_id,
        grace_s=shop.cancel_grace_s,
    )
    await owner_rights.rights_give_back(shop, attempt.attempt_id)
    return ended


async def _left_clear(shop: workshop.Workshop, left: workshop.Lease, *, to: workshop.Lease) -> None:
    if not (await family_end(shop, left.attempt)).confirmed:
        raise PlaceHeld(left.attempt, "some of its processes still run there")
    try:
        await _ignored_hand_on(shop, left, to=to)
        await recorded_worktree_remove(shop, left)
    except (worktree_changes.WorktreeHasUnrecordedChanges, inspection.UnknownRevision, git.GitFailed) as error:
        raise PlaceHeld(left.attempt, str(error)) from error
    except OSError as error:
        raise PlaceHeld(left.attempt, error.strerror or "input/output error") from error
    logger.info("place cleared", extra={"event": "place.cleared", "attempt_id": left.attempt.attempt_id})


async def _ignored_hand_on(shop: workshop.Workshop, left: workshop.Lease, *, to: workshop.Lease) -> None:
    """Its ignored files go on to whoever works there next, as they do from a worktree that is taken away at once."""
    if left.attempt.base_commit is None:
        return
    try:
        place = await _adopt(left, shop.worktree_path(left.attempt.attempt_id))
    except worktree.WorktreeMissing:
        return
    stays = snapshots.has_submodules(place) and (await snapshots.snapshot_take_nested(place)).unrecorded
    if not stays:
        await provision.ignored_hand_on(shop, to, place)


async def _adopt(lease: workshop.Lease, path: Path) -> worktree.Worktree:
    return await worktree.worktree_adopt(lease.repository_root, path=path, base_commit=lease.attempt.base_commit or "")


async def _tree_record(lease: workshop.Lease, place: worktree.Worktree) -> str:
    """The tree that is on record for the attempt; where it was given up before anybody recorded its edits, they are
    recorded now."""
    head_commit = lease.attempt.head_commit
    if head_commit is None:
        try:
            captured = await collection.changes_capture(lease, place)
        except worktree_changes.ChangesTooLarge as error:
            head_commit = error.head_commit  # Too large to show, and under its ref all the same.
        else:
            return captured.tree
    trusted_root = worktree.trusted_root_of(place.path)
    return (await inspection.revision_resolve(lease.repository_root, head_commit, trusted_root=trusted_root)).tree


def _may_be_unrecorded(attempt: Attempt) -> bool:
    failure = attempt.failure
    return attempt.head_commit is None or (failure is not None and failure.kind is states.FailureKind.ARTIFACT)


def _is_last_there(conn: Connection, *, attempt: Attempt) -> bool:
    return places.newest_in(conn, places.place_of(conn, attempt.attempt_id)) == attempt.attempt_id


def _left(conn: Connection, *, attempt: Attempt) -> workshop.Lease:
    """Whoever worked last in the attempt's place before it."""
    before = places.worked_last(conn, places.place_of(conn, attempt.attempt_id), before=attempt.attempt_id)
    return workshop.lease_load(conn, before)
