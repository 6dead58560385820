"""Worktrees of attempts that are over: taken away where all they hold is recorded, and otherwise told why they stay.

Called by `retention`, for those that are old, by `execution`, for all of them where there is no room for another
worktree, and by `bootstrap`, for what an earlier life of the daemon left behind: only there edits are recorded first
that nobody has recorded. Deliberately touches nothing but what an attempt was given as its place.
Tests: tests/integration/daemon/test_retention.py, test_room.py, test_places.py.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from local_daemon.attempts import lifecycle as attempt_lifecycle
from local_daemon.attempts import selectors as attempts
from local_daemon.attempts.records import Attempt
from local_daemon.protocol import garbage, ids, states
from local_daemon.repositories import selectors as repositories
from local_daemon.scheduler import clearing, conclusion, places, workshop
from local_daemon.steps import lifecycle as step_lifecycle
from local_daemon.steps import selectors as steps
from local_daemon.storage.database import Connection
from local_daemon.worktrees import changes, git, inspection, room, worktree

logger = logging.getLogger(__name__)

_TAKEN_UP = "somebody works there again"
_NOBODYS = "no attempt was given it as its place, one may have moved its own there: look at it, and delete it yourself"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """A worktree that nobody works in any more."""

    attempt: Attempt
    git_root: Path


async def room_make(shop: workshop.Workshop) -> None:
    """See that there is room for one more worktree: where there is none, let spare checkouts go, then worktrees that
    hold nothing of their own. Raises RoomUsedUp."""
    try:
        await shop.room.require()
    except room.RoomUsedUp:
        if shop.spares is not None:
            await shop.spares.let_go()
        async for _ in worktrees_collect(shop, ended_before=datetime.now(UTC), dry_run=False):
            continue
        await shop.room.require()


async def worktrees_collect(
    shop: workshop.Workshop, *, ended_before: datetime | None, dry_run: bool
) -> AsyncIterator[garbage.WorktreeKept | None]:
    """Take away what is left of steps that ended before then and holds nothing that is not recorded: None for each; and
    for each that stays, why. Without a time nothing goes."""
    if not shop.worktrees.is_dir():
        return
    for name in sorted(path.name for path in shop.worktrees.iterdir()):
        if not ids.is_id(ids.IdPrefix.ATTEMPT, name.removesuffix(worktree.OWN_SUFFIX)):
            yield garbage.WorktreeKept(name=os.fsencode(name).decode(errors="replace"), reason=_NOBODYS)
        if not ids.is_id(ids.IdPrefix.ATTEMPT, name):
            continue
        lock = shop.place_locks.of(name)
        if lock.locked():
            continue  # Somebody works there, or clears up.
        async with lock:
            left = _left(shop, name, ended_before)
            if isinstance(left, _Left):
                reason = await _worktree_remove(shop, left, name, ended_before, dry_run=dry_run)
            else:
                reason = left
        if reason != _TAKEN_UP:
            yield None if reason is None else garbage.WorktreeKept(name=name, attempt_id=name, reason=reason)


async def _worktree_remove(
    shop: workshop.Workshop, left: _Left, name: str, ended_before: datetime | None, *, dry_run: bool
) -> str | None:
    """Take it away if all it holds is recorded; else why it stays. By who holds the place's lock, so that nobody begins
    there meanwhile; and only if the record still says so after the look."""
    attempt, path = left.attempt, shop.worktrees / name
    # What a given-up attempt had changed is behind its reference, once a person has resolved its step.
    head = attempt.head_commit or attempt.ref
    if attempt.base_commit is None or head is None:
        return "nobody has recorded what it holds"
    try:
        place = await worktree.worktree_adopt(left.git_root, path=path, base_commit=attempt.base_commit)
        recorded = await inspection.revision_resolve(left.git_root, head, trusted_root=shop.trusted_root)
        await changes.worktree_require_recorded(place, recorded_tree=recorded.tree)
        if _left(shop, name, ended_before) != left:
            return _TAKEN_UP
        if not dry_run:
            await worktree.worktree_discard(left.git_root, path=path)
            shop.room.look(path)
    except changes.WorktreeHasUnrecordedChanges:
        return "it holds changes that are not recorded"
    except (worktree.WorktreeMissing, inspection.UnknownRevision):
        return "its repository knows nothing of it"
    except (git.GitFailed, OSError) as error:
        return f"it can't be looked at: {error.strerror if isinstance(error, OSError) else error}"
    return None


def _left(shop: workshop.Workshop, name: str, ended_before: datetime | None) -> _Left | str:
    return shop.database.read(partial(_left_on_record, name=name, ended_before=ended_before))


def _left_on_record(conn: Connection, name: str, *, ended_before: datetime | None) -> _Left | str:
    """The attempt that worked last in the place of that name, if its step ended before then; else why it stays."""
    attempt = attempts.attempt_find(conn, places.newest_in(conn, name))
    if attempt is None:
        return "nobody is on record that worked there"
    if attempt.state in attempt_lifecycle.UNFINISHED:
        return _TAKEN_UP
    step = steps.step_load(conn, attempt.step_id)
    if step.state not in states.STEP_TERMINAL or step.ended_at is None:
        return f"its step is not over: {str(step.state).replace('_', ' ')}"
    if ended_before is None:
        return "your [retention] lets no worktree go"
    if step.ended_at > ended_before:
        return "its step has not been over for as long as your [retention] keeps worktrees"
    return _Left(attempt=attempt, git_root=repositories.repository_get(conn, attempt.repository_id).git_root)


async def worktrees_sweep(shop: workshop.Workshop) -> None:
    """Take away what finished attempts of an earlier life left behind; what needs attention, or is at work, stays."""
    known = shop.database.read(repositories.repositories_known)
    for name in await asyncio.to_thread(_places_left, shop.worktrees, [each.git_root for each in known]):
        lock = shop.place_locks.of(name)
        if ids.is_id(ids.IdPrefix.ATTEMPT, name) and not lock.locked():
            async with lock:
                await _place_sweep(shop, name)


def _places_left(worktrees: Path, roots: Sequence[Path]) -> list[str]:
    """Where there is anything of a worktree. A crash while one was taken away may have left only what lay beside it,
    and whoever deleted files of ours only what its repository knows of it."""
    names = {path.name.removesuffix(worktree.OWN_SUFFIX) for path in worktrees.glob("*")}
    for root in roots:
        with suppress(git.GitFailed):
            names |= worktree.names_registered(root, worktrees=worktrees)
    return sorted(names)


async def _place_sweep(shop: workshop.Workshop, name: str) -> None:
    lease = shop.database.read(partial(_finished_lease, place=name))
    if lease is None:
        return
    try:
        await clearing.recorded_worktree_remove(shop, lease)
        await conclusion.scratch_remove(shop.scratch_path(lease.attempt.attempt_id))
    except changes.WorktreeHasUnrecordedChanges:
        return  # Its step says so.
    except (git.GitFailed, inspection.UnknownRevision, OSError):
        logger.exception("worktree left in place", extra={"event": "worktree.kept", "attempt_id": name})


def _finished_lease(conn: Connection, *, place: str) -> workshop.Lease | None:
    """Whoever worked in the place last, where nobody is at work there now or has to look first."""
    newest = attempts.attempt_find(conn, places.newest_in(conn, place))
    if newest is None:
        return None
    worked = places.worked_last(conn, place)
    if not all(_is_over(conn, attempt) for attempt in (newest, worked)):
        return None
    return workshop.lease_load(conn, worked)


def _is_over(conn: Connection, attempt: Attempt) -> bool:
    if attempt.state in attempt_lifecycle.UNFINISHED:
        return False
    step = steps.step_load(conn, attempt.step_id)
    is_open = step.state is states.StepState.NEEDS_ATTENTION or step.state in step_lifecycle.AT_WORK
    return not (is_open and attempt.number == step.attempts)
