"""What a daemon lets go in time: evidence of runs long over and the references to their results, ignored files that
attempts left, worktrees left behind.

By the operator's `[retention]`, when the next thing is due, and on `ropeway gc`. What is to go is on record before it
goes, so a daemon that dies in between goes on with it. Nothing of an open run goes, no evidence that is too young, and
no worktree that holds anything not recorded. Started by `bootstrap`. Tests: tests/integration/daemon/test_retention.py.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from local_daemon.attempts import selectors as attempts
from local_daemon.protocol import garbage, states
from local_daemon.repositories import selectors as repositories
from local_daemon.repositories.records import Repository
from local_daemon.runs import selectors as runs
from local_daemon.scheduler import expiry, leftovers, references, workshop
from local_daemon.steps import selectors as steps
from local_daemon.storage import database
from local_daemon.storage.database import Connection
from local_daemon.worktrees import deletion, folders, git, ignored, pruning, room

logger = logging.getLogger(__name__)

_SOONEST_S, _LATEST_S = 60.0, 86_400.0
_SIZES_S = 3600.0
"""How often sizes are looked at where they are limited: no event tells that a disk fills."""

_GOING = ".going"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How long what is kept, and how much of it. None is no limit."""

    evidence_days: int | None = None
    evidence_bytes: int | None = None
    evidence_days_min: int = 7  # nothing younger goes, however much there is
    ignored_days: int | None = 14
    ignored_bytes: int | None = 2 * 1024**3
    worktrees_days: int | None = 7
    refs_days: int | None = None
    refs_max: int | None = None  # in one repository


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
    _is_asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Let go what is due, whenever something is."""
        while True:
            try:
                await self.collect(dry_run=False, is_asked_for=False)
                self._is_asked.clear()
                await self.prune()
            except Exception:  # the outermost frame of its task
                logger.exception("retention failed", extra={"event": "retention.failed"})
            with suppress(TimeoutError):
                async with asyncio.timeout(self._wait_s(self.clock())):
                    await self._is_asked.wait()

    async def collect(self, *, dry_run: bool, is_asked_for: bool = True) -> garbage.GarbageView:
        """One pass; with `dry_run` it only says what would go. Unless somebody asked for it, worktrees are not measured
        again."""
        async with self._lock:
            now = self.clock()
            pieces, piece_bytes = await self._evidence(now, dry_run=dry_run)
            archives = self._archives_due(await asyncio.to_thread(_archives, self.shop.ignored_root), now)
            if not dry_run:
                await self._blobs_remove()
                archives = await self._archives_remove(archives)
                await self._folders_tidy()
            removed, kept = await self._worktrees(now, dry_run=dry_run)
            refs = await self._refs(now, dry_run=dry_run)
            view = garbage.GarbageView(
                dry_run=dry_run,
                artifacts=pieces,
                artifact_bytes=piece_bytes,
                archives=len(archives),
                archive_bytes=sum(each.size_bytes for each in archives),
                worktrees=removed,
                worktrees_kept=tuple(kept),
                worktrees_bytes=await self._worktrees_bytes() if is_asked_for else self.shop.room.used_bytes,
                refs=refs,
                evidence_bytes=await self.shop.database.read_aside(expiry.evidence_size_bytes),
            )
        if is_asked_for and not dry_run:
            self.shop.room.ask_again()
        if not dry_run and view.refs:
            self._is_asked.set()
        if not dry_run and (view.artifacts or view.archives or view.worktrees or view.refs):
            counts = view.model_dump(exclude={"dry_run", "worktrees_kept"})
            logger.info("garbage collected", extra={"event": "retention.collected", **counts})
        return view

    async def _evidence(self, now: datetime, *, dry_run: bool) -> tuple[int, int]:
        pieces = size_bytes = 0
        if self.rules.evidence_days is not None:
            days = max(self.rules.evidence_days, self.rules.evidence_days_min)
            pieces, size_bytes = await self._expire(now - timedelta(days=days), "age", None, dry_run=dry_run)
        if self.rules.evidence_bytes is not None:
            over = await self.shop.database.read_aside(expiry.evidence_size_bytes) - self.rules.evidence_bytes
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
            everything = await self.shop.database.read_aside(
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
        for repository in self.shop.database.read(repositories.repositories_known):
            is_held = self.shop.database.read(partial(steps.repository_is_held, repository_id=repository.repository_id))
            if repository.is_folder and repository.git_root.is_dir() and not is_held:
                try:
                    await folders.shadow_tidy(repository.git_root, trusted_root=self.shop.trusted_root)
                except git.GitFailed:
                    logger.warning("folder's repository left untidy", exc_info=True, extra={"event": "folder.untidy"})

    async def _worktrees_bytes(self) -> int:
        roots = (self.shop.worktrees, self.shop.spares_path)
        return sum((await asyncio.to_thread(room.sizes_bytes, roots)).values())

    async def _archives_remove(self, due: list[_Archive]) -> list[_Archive]:
        """Those that went: of each it is asked again, right before, whether its run goes on by now."""
        gone: list[_Archive] = []
        going: list[Path] = []
        for each in due:
            if self.shop.database.read(partial(_is_open, archive=each)):
                continue
            path = _put_away(each)
            if path is not None:
                gone.append(each)
                going.append(path)
        await asyncio.to_thread(_delete, going)
        return gone

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
        days = self.rules.worktrees_days
        ended_before = None if days is None else now - timedelta(days=days)
        async for stays in leftovers.worktrees_collect(self.shop, ended_before=ended_before, dry_run=dry_run):
            if stays is None:
                removed += 1
            else:
                kept.append(stays)
        return removed, kept

    async def _refs(self, now: datetime, *, dry_run: bool) -> int:
        """Let go the references to results whose evidence has gone, the old ones and those beyond a number."""
        if self.rules.refs_days is None and self.rules.refs_max is None:
            return 0
        young = now - timedelta(days=self.rules.evidence_days_min)
        old = None if self.rules.refs_days is None else min(young, now - timedelta(days=self.rules.refs_days))
        gone = 0
        for repository in self.shop.database.read(repositories.repositories_known):
            due = await self.shop.database.read_aside(
                partial(
                    references.references_due,
                    repository_id=repository.repository_id,
                    old_before=old,
                    young_from=young,
                    refs_max=self.rules.refs_max,
                )
            )
            gone += len(due) if dry_run else await self._refs_expire(due)
            if not dry_run:
                await self._refs_remove(repository)
        return gone

    async def _refs_expire(self, due: list[references.Due]) -> int:
        gone = 0
        for begin in range(0, len(due), expiry.AT_ONCE):
            some = due[begin : begin + expiry.AT_ONCE]
            gone += await self.shop.database.write("refs_expire", partial(references.references_expire, found=some))
        return gone

    async def _refs_remove(self, repository: Repository) -> None:
        leaving = self._refs_leaving(repository)
        if leaving:
            with _warned("references left"):
                await pruning.refs_remove(repository.git_root, leaving, trusted_root=self.shop.trusted_root)

    def _refs_leaving(self, repository: Repository) -> dict[str, str | None]:
        query = partial(references.references_leaving, repository_id=repository.repository_id)
        return self.shop.database.read(query)

    async def prune(self) -> None:
        """Where references went, let the objects go that nothing reaches: takes long in a large repository, and is done
        again later where an attempt is at work."""
        for repository in self.shop.database.read(repositories.repositories_known):
            leaving = self._refs_leaving(repository)
            is_held = self.shop.database.read(partial(steps.repository_is_held, repository_id=repository.repository_id))
            if leaving and not is_held:
                with _warned("objects left"):
                    await pruning.refs_remove(repository.git_root, leaving, trusted_root=self.shop.trusted_root)
                    if await pruning.objects_prune(repository.git_root, trusted_root=self.shop.trusted_root):
                        gone = tuple(leaving)
                        await self.shop.database.write("refs_remove", partial(references.references_settle, gone=gone))

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


@contextmanager
def _warned(what: str) -> Iterator[None]:
    """It is tried again in the next pass."""
    try:
        yield
    except (git.GitFailed, OSError):
        logger.warning(what, exc_info=True, extra={"event": "retention.left"})


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
    left_by = attempts.attempt_find(conn, key) or steps.step_find(conn, key)
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


def _put_away(archive: _Archive) -> Path | None:
    """Move it where no turn finds it: none begins with half of it. None where one has taken it just now."""
    if archive.path.suffix == _GOING:
        return archive.path  # A daemon that was killed left it.
    going = archive.path.with_name(f"{archive.path.name}{_GOING}")
    try:
        deletion.tree_delete(going)
        archive.path.rename(going)
    except FileNotFoundError:
        return None
    return going


def _delete(going: list[Path]) -> None:
    for path in going:
        deletion.tree_delete(path)
