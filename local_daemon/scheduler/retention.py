"""What a daemon lets go in time: evidence of runs long over, ignored files that attempts left, worktrees left behind.

By the operator's `[retention]`, when the next thing is due, and on `ropeway gc`. What is to go is on record before it
goes, so a daemon that dies in between goes on with it. Nothing of an open run goes, no evidence that is too young, and
no worktree that holds anything not recorded. Started by `bootstrap`. Tests: tests/integration/daemon/test_retention.py.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from local_daemon.attempts import store as attempt_store
from local_daemon.attempts.records import Attempt
from local_daemon.protocol import garbage, ids, states
from local_daemon.repositories import selectors as repositories
from local_daemon.runs import selectors as runs
from local_daemon.scheduler import expiry, places, workshop
from local_daemon.steps import selectors as steps
from local_daemon.steps import store as step_store
from local_daemon.storage import database
from local_daemon.storage.database import Connection
from local_daemon.worktrees import changes, folders, git, ignored, inspection, worktree

logger = logging.getLogger(__name__)

_SOONEST_S, _LATEST_S = 60.0, 86_400.0
_SIZES_S = 3600.0
"""How often sizes are looked at where they are limited: no event tells that a disk fills."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How long what is kept, and how much of it. None is no limit."""

    evidence_days: int | None = None
    evidence_bytes: int | None = None
    evidence_days_min: int = 7  # nothing younger goes, however much there is
    ignored_days: int | None = 14
    ignored_bytes: int | None = 2 * 1024**3
    worktrees_days: int | None = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class _Archive:
    """Ignored files of one attempt, or those that wait for the next turn of a conversation."""

    path: Path
    size_bytes: int
    written_at: datetime


@dataclass(slots=True, kw_only=True)
class Retention:
    """The rules at work. One pass at a time."""

    shop: workshop.Workshop
    rules: Rules = field(default_factory=Rules)
    clock: Callable[[], datetime] = database.utc_now
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Let go what is due, whenever something is."""
        while True:
            try:
                await self.collect(dry_run=False)
            except Exception:  # the outermost frame of its task
                logger.exception("retention failed", extra={"event": "retention.failed"})
            await asyncio.sleep(self._wait_s(self.clock()))

    async def collect(self, *, dry_run: bool) -> garbage.GarbageView:
        """One pass; with `dry_run` it only says what would go."""
        async with self._lock:
            now = self.clock()
            pieces, piece_bytes = await self._evidence(now, dry_run=dry_run)
            archives = self._archives_due(await asyncio.to_thread(_archives, self.shop.ignored_root), now)
            if not dry_run:
                await self._blobs_remove()
                await asyncio.to_thread(_unlink, archives)
                await self._folders_tidy()
            removed, kept = await self._worktrees(now, dry_run=dry_run)
            view = garbage.GarbageView(
                dry_run=dry_run,
                artifacts=pieces,
                artifact_bytes=piece_bytes,
                archives=len(archives),
                archive_bytes=sum(each.size_bytes for each in archives),
                worktrees=removed,
                worktrees_kept=tuple(kept),
                evidence_bytes=self.shop.database.read(expiry.evidence_size_bytes),
            )
        if not dry_run and (view.artifacts or view.archives or view.worktrees):
            counts = view.model_dump(exclude={"dry_run", "worktrees_kept"})
            logger.info("garbage collected", extra={"event": "retention.collected", **counts})
        return view

    async def _evidence(self, now: datetime, *, dry_run: bool) -> tuple[int, int]:
        pieces = size_bytes = 0
        if self.rules.evidence_days is not None:
            days = max(self.rules.evidence_days, self.rules.evidence_days_min)
            pieces, size_bytes = await self._expire(now - timedelta(days=days), "age", None, dry_run=dry_run)
        if self.rules.evidence_bytes is not None:
            over = self.shop.database.read(expiry.evidence_size_bytes) - self.rules.evidence_bytes
            over -= size_bytes if dry_run else 0
            if over > 0:
                young = now - timedelta(days=self.rules.evidence_days_min)
                more, more_bytes = await self._expire(young, "size", over, dry_run=dry_run)
                pieces, size_bytes = pieces + more, size_bytes + more_bytes
        return pieces, size_bytes

    async def _expire(
        self, ended_before: datetime, reason: str, wanted_bytes: int | None, *, dry_run: bool
    ) -> tuple[int, int]:
        """Let the oldest go, all of it or until that much has gone."""
        if dry_run:
            everything = self.shop.database.read(
                lambda conn: expiry.evidence_expirable(conn, ended_before=ended_before, limit=1_000_000)
            )
            some = _until(everything, wanted_bytes)
            return len(some), sum(each.size_bytes for each in some)
        pieces = size_bytes = 0
        while wanted_bytes is None or size_bytes < wanted_bytes:
            found = self.shop.database.read(lambda conn: expiry.evidence_expirable(conn, ended_before=ended_before))
            some = _until(found, None if wanted_bytes is None else wanted_bytes - size_bytes)
            if not some:
                break
            gone = await self.shop.database.write(
                "evidence_expire",
                partial(expiry.evidence_expire, found=some, ended_before=ended_before, reason=reason),
            )
            pieces, size_bytes = pieces + gone, size_bytes + sum(each.size_bytes for each in some)
        return pieces, size_bytes

    async def _blobs_remove(self) -> None:
        leaving = self.shop.database.read(expiry.blobs_leaving)
        if not leaving:
            return
        removed = await asyncio.to_thread(lambda: [each for each in leaving if self.shop.blobs.blob_remove(each)])
        await self.shop.database.write("evidence_remove", lambda tx: expiry.blobs_settle(tx, removed))

    async def _folders_tidy(self) -> None:
        for repository in self.shop.database.read(repositories.repositories_list):
            is_held = self.shop.database.read(partial(steps.repository_is_held, repository_id=repository.repository_id))
            if repository.is_folder and repository.git_root.is_dir() and not is_held:
                try:
                    await folders.shadow_tidy(repository.git_root)
                except git.GitFailed:
                    logger.warning("folder's repository left untidy", exc_info=True, extra={"event": "folder.untidy"})

    def _archives_due(self, found: list[_Archive], now: datetime) -> list[_Archive]:
        """Those that are old; then the oldest, for as long as there is more than may be."""
        may_go = [each for each in found if not self.shop.database.read(partial(_is_open, archive=each))]
        due: list[_Archive] = []
        if self.rules.ignored_days is not None:
            due = [each for each in may_go if each.written_at <= now - timedelta(days=self.rules.ignored_days)]
        if self.rules.ignored_bytes is not None:
            over = sum(each.size_bytes for each in found if each not in due) - self.rules.ignored_bytes
            for each in sorted((each for each in may_go if each not in due), key=lambda each: each.written_at):
                if over <= 0:
                    break
                over -= each.size_bytes
                due.append(each)
        return due

    async def _worktrees(self, now: datetime, *, dry_run: bool) -> tuple[int, list[garbage.WorktreeKept]]:
        """Take away what is left of steps long over and holds nothing that is not recorded; tell what stays."""
        removed = 0
        kept: list[garbage.WorktreeKept] = []
        if self.rules.worktrees_days is None or not self.shop.worktrees.is_dir():
            return removed, kept
        ended_before = now - timedelta(days=self.rules.worktrees_days)
        for name in sorted(path.name for path in self.shop.worktrees.iterdir()):
            left = None
            if ids.is_id(ids.IdPrefix.ATTEMPT, name):
                left = self.shop.database.read(partial(_left, name=name, ended_before=ended_before))
            if left is None:
                continue
            reason = await _worktree_remove(left, self.shop.worktrees / name, dry_run=dry_run)
            if reason is None:
                removed += 1
            else:
                kept.append(garbage.WorktreeKept(attempt_id=name, reason=reason))
        return removed, kept

    def _wait_s(self, now: datetime) -> float:
        """Until the next thing is due by its age, or sizes are to be looked at."""
        waits = [_LATEST_S]
        if self.rules.evidence_bytes is not None:
            waits.append(_SIZES_S)
        oldest = self.shop.database.read(expiry.evidence_oldest_at)
        if self.rules.evidence_days is not None and oldest is not None:
            days = max(self.rules.evidence_days, self.rules.evidence_days_min)
            waits.append((oldest + timedelta(days=days) - now).total_seconds())
        return max(min(waits), _SOONEST_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """A worktree that nobody works in any more."""

    attempt: Attempt
    git_root: Path


def _left(conn: Connection, name: str, *, ended_before: datetime) -> _Left | None:
    """The attempt that worked last in the place of that name, if its step ended before then."""
    attempt = attempt_store.attempt_by_id(conn, places.newest_in(conn, name))
    if attempt is None or attempt.state not in (states.AttemptState.RECORDED, states.AttemptState.ABANDONED):
        return None
    step = steps.step_load(conn, attempt.step_id)
    if step.state not in states.STEP_TERMINAL or step.ended_at is None or step.ended_at > ended_before:
        return None
    return _Left(attempt=attempt, git_root=repositories.repository_get(conn, attempt.repository_id).git_root)


async def _worktree_remove(left: _Left, path: Path, *, dry_run: bool) -> str | None:
    """Take it away if all it holds is recorded; else why it stays."""
    attempt = left.attempt
    if attempt.base_commit is None or attempt.head_commit is None:
        return "nobody has recorded what it holds"
    try:
        place = await worktree.worktree_adopt(left.git_root, path=path, base_commit=attempt.base_commit)
        recorded = await inspection.revision_resolve(left.git_root, attempt.head_commit)
        await changes.worktree_require_recorded(place, recorded_tree=recorded.tree)
        if not dry_run:
            await worktree.worktree_discard(left.git_root, path=path)
    except changes.WorktreeHasUnrecordedChanges:
        return "it holds changes that are not recorded"
    except (worktree.WorktreeMissing, inspection.UnknownRevision):
        return "its repository knows nothing of it"
    except (git.GitFailed, OSError) as error:
        return f"it can't be looked at: {error.strerror if isinstance(error, OSError) else error}"
    return None


def _until(found: tuple[expiry.Expirable, ...], wanted_bytes: int | None) -> list[expiry.Expirable]:
    """As many as it takes to come to so many bytes."""
    some, size_bytes = [], 0
    for each in found:
        if wanted_bytes is not None and size_bytes >= wanted_bytes:
            break
        some.append(each)
        size_bytes += each.size_bytes
    return some


def _is_open(conn: Connection, archive: _Archive) -> bool:
    """Whether the run goes on to which the attempt belongs that left these files, or the step that waits for an answer
    with them."""
    key = archive.path.stem
    left_by = attempt_store.attempt_by_id(conn, key) or step_store.step_by_id(conn, key)
    return left_by is not None and runs.run_load(conn, left_by.run_id).state not in states.RUN_TERMINAL


def _archives(root: Path) -> list[_Archive]:
    found = []
    for path in root.glob("*"):
        with suppress(FileNotFoundError):  # A turn takes it back.
            entry = path.stat()
            written_at = datetime.fromtimestamp(entry.st_mtime, UTC)
            size_bytes = ignored.size_bytes(path)
            found.append(_Archive(path=path, size_bytes=size_bytes, written_at=written_at))
    return found


def _unlink(archives: list[_Archive]) -> None:
    for each in archives:
        if each.path.is_dir():
            # Under another name first, so that no turn begins with half of it.
            going = each.path.with_name(f"{each.path.name}.going")
            with suppress(FileNotFoundError):
                each.path.rename(going)
                worktree.tree_delete(going)
        else:
            each.path.unlink(missing_ok=True)
