"""The scheduler: leases queued steps within the limits, owns every attempt's task, wakes for what is due.

Woken by commits that change what is queued or due, not by polling; the only timers are the next retry, the next gate's
expiry and a want of room, whose end nothing may tell. Deliberately carries out no part of an attempt (`execution` does,
imported with all it needs when there is something to carry out: a daemon is ready without it). Started by `bootstrap`,
after `recovery` has dealt with what the last life left. Tests: tests/integration/daemon/test_execution.py.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from local_daemon.attempts import selectors as attempt_selectors
from local_daemon.attempts import services as attempts
from local_daemon.gates import selectors as gate_selectors
from local_daemon.gates import services as gates
from local_daemon.protocol import errors, ids, specs, states
from local_daemon.runs import services as runs
from local_daemon.scheduler import beginning, leases, places, spending, workshop
from local_daemon.steps import records as step_records
from local_daemon.steps import selectors as step_selectors
from local_daemon.steps import services as steps
from local_daemon.storage.database import Connection
from local_daemon.storage.transaction import Transaction
from local_daemon.storage.wake import Count
from local_daemon.usage.records import Spent
from local_daemon.worktrees import git, inspection, pool, recorders, room

if TYPE_CHECKING:
    from local_daemon.scheduler import recovery

logger = logging.getLogger(__name__)


_DUE_LOOK_S = 60.0
"""Asyncio's clock stands still while the machine sleeps; so long after it woke, what fell due meanwhile is seen."""


class Scheduler:
    """Everything that happens by itself in a daemon."""

    def __init__(self, shop: workshop.Workshop, *, limits: leases.ConcurrencyLimits) -> None:
        """Nothing runs before `run`."""
        self._spares = pool.Pool(shop.spares_path)
        self._recorders = recorders.Recorders()
        self._shop = replace(shop, spares=self._spares, recorders=self._recorders)
        self._limits = limits
        self._epoch = 0
        self._active: dict[ids.StepId, leases.Candidate] = {}
        self._cancels: dict[ids.StepId, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._drained = asyncio.Event()
        self._waits_for_room = False

    async def recover(self) -> None:
        """Begin a new epoch and bring every unfinished attempt of earlier ones to a truthful state, or back to work.
        What still needs time (collecting, checking) goes on as tasks, within no limit: it was leased already."""
        begun = await beginning.life_begin(self._shop)
        self._epoch = begun.epoch
        if begun.unfinished:
            from local_daemon.scheduler import recovery

            for found in await recovery.attempts_recover(self._shop, begun.unfinished):
                self._spawn(found.lease, found.work)

    async def run(self) -> None:
        """Lease and wait, until drained or cancelled. Cancelling ends no executor: recovery accounts for them."""
        removing = asyncio.create_task(asyncio.to_thread(self._spares.leftovers_remove), name="old spares")
        self._shop.room.begin(told=self.wake)
        try:
            with self._shop.database.wake.counted(steps.QUEUE) as commits:
                while not self._is_draining:
                    await self._turn(commits)
            if self._tasks:
                await asyncio.wait(self._tasks)
        except asyncio.CancelledError:
            # Their owner ends them, so that none writes to a record that is being closed.
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            raise
        finally:
            await removing
            await self._shop.room.close()
            await self._spares.close()
            await self._recorders.close()
            self._drained.set()

    def wake(self) -> None:
        """Look again: something may be due that no commit told of."""
        self._shop.database.wake.announce((steps.QUEUE,))

    def cancel(self, step_id: ids.StepId) -> None:
        """A cancel of this step was committed: tell its attempt, if one is at work."""
        event = self._cancels.get(step_id)
        if event is not None:
            event.set()

    async def edits_record(self, step_id: ids.StepId) -> str | None:
        """Record what the step's newest attempt left in its worktree when it was given up; answers the ref, or None
        where there is nothing of it."""
        from local_daemon.scheduler import clearing

        lease = self._shop.database.read(partial(_lease_of, step_id=step_id))
        if lease is None:
            return None
        async with self._shop.place_locks.of(self._shop.place_name(lease.attempt.attempt_id)):
            return await clearing.edits_record(self._shop, lease)

    async def drain(self) -> None:
        """Lease nothing more and wait until the attempts at work have ended."""
        self._is_draining = True
        self.wake()
        await self._drained.wait()

    @property
    def active_count(self) -> int:
        """How many attempts are at work."""
        return len(self._active)

    @property
    def is_draining(self) -> bool:
        """Whether nothing more is leased."""
        return self._is_draining

    async def _turn(self, commits: Count) -> None:
        """Look, and wait until it is time to look again."""
        mark = commits.mark
        try:
            due = await self._look()
        except errors.StorageFull:
            logger.warning("nothing can be leased: the disk takes nothing", extra={"event": "scheduler.no_room"})
            await self._wait_for_room()
        else:
            await self._wait(commits, mark, due)

    async def _wait(self, commits: Count, mark: int, due: datetime | None) -> None:
        """Until something else is queued than at `mark`, or the next retry or expiry is due."""
        timeout_s = None if due is None else _wait_s(due, datetime.now(UTC))
        if self._waits_for_room:
            timeout_s = room.SEEK_S if timeout_s is None else min(timeout_s, room.SEEK_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while commits.mark == mark:
                    wake = self._shop.database.wake
                    await wake.wait_for_change(after=wake.mark, topic=steps.QUEUE)

    async def _look(self) -> datetime | None:
        """Close what is due and lease what may be; answers when the next retry or expiry was due before. Raises
        StorageFull."""
        due = self._shop.database.read(_next_due)
        if due is not None and due <= datetime.now(UTC):
            await self._shop.database.write("due_close", _due_apply)
        await self._lease_next()
        return due

    async def _wait_for_room(self) -> None:
        """A while, or until somebody else tried to put something on record, or asks for a drain."""
        with suppress(TimeoutError):
            async with asyncio.timeout(workshop.ROOM_S):
                await self._shop.database.wake.wait_for_change(after=self._shop.database.wake.mark)

    async def _lease_next(self) -> None:
        self._waits_for_room = False
        if len(self._active) >= self._limits.machine:
            return
        active = list(self._active.values())
        queued = self._shop.database.read(
            lambda conn: step_selectors.steps_leasable(
                conn,
                # A step may be queued again while its last attempt still cleans up; then the ones behind it count.
                repository_most=self._limits.machine + len(active),
                executors_full=leases.executors_full(active, self._limits),
            )
        )
        by_id = {step.step_id: step for step in queued if step.step_id not in self._active}
        chosen = leases.leases_choose(
            queued=[_candidate(step) for step in by_id.values()], active=active, limits=self._limits
        )
        self._waits_for_room = bool(chosen) and self._is_without_room()
        if self._waits_for_room:
            from local_daemon.scheduler import leftovers

            self._shop.room.seek(partial(leftovers.room_make, self._shop))
            return
        if not chosen:
            return
        if self._shop.room.is_full:
            chosen = chosen[:1]  # It says what is the matter, for all of them.
        from local_daemon.scheduler import execution

        wanted = [by_id[candidate.step_id] for candidate in chosen]
        told = self._shop.meters.told()
        for lease in await self._shop.database.write("attempt_lease", lambda tx: self._lease_apply(tx, wanted, told)):
            self._spawn(lease, execution.attempt_execute)

    def _is_without_room(self) -> bool:
        """Whether what is queued waits: for the end of one at work, or since one has said what is the matter."""
        return self._shop.room.is_full and (bool(self._active) or self._shop.room.is_said)

    def _lease_apply(
        self, tx: Transaction, wanted: list[step_records.Step], told: Mapping[ids.AttemptId, Spent]
    ) -> list[workshop.Lease]:
        leased = []
        for step in wanted:
            if step_selectors.step_load(tx.connection, step.step_id).state is not states.StepState.QUEUED:
                continue  # Cancelled since it was read.
            accounts = spending.accounts_open(
                tx.connection, step_id=step.step_id, run_id=step.run_id, now=tx.now, told=told
            )
            refused = spending.start_refused(accounts)
            if refused is not None:
                steps.step_advance(tx, step_id=step.step_id, event=states.StepEvent.FAILED, failure=refused)
                runs.run_refresh(tx, run_id=step.run_id)
                continue
            attempt = attempts.attempt_lease(
                tx,
                step_id=step.step_id,
                run_id=step.run_id,
                repository_id=step.repository_id,
                executor=step.executor,
                epoch=self._epoch,
            )
            self._shop.places.update(places.place_take(tx, step=step, attempt=attempt))
            moved = steps.step_advance(tx, step_id=step.step_id, event=states.StepEvent.LEASED)
            runs.run_refresh(tx, run_id=step.run_id)
            leased.append(workshop.lease_load(tx.connection, attempt, step=moved))
        return leased

    def _spawn(self, lease: workshop.Lease, work: "recovery.Work") -> None:
        step_id = lease.step.step_id
        cancelled = asyncio.Event()
        if lease.step.is_cancel_requested:
            cancelled.set()
        self._active[step_id] = _candidate(lease.step)
        self._cancels[step_id] = cancelled
        task = asyncio.create_task(self._carry(lease, work, cancelled), name=f"attempt {lease.attempt.attempt_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, lease: workshop.Lease, work: "recovery.Work", cancelled: asyncio.Event) -> None:
        """The outermost frame of an attempt: whatever goes wrong in it, the step ends in a truthful state. While the
        disk is full nothing can be put on record, so it goes on from what is there once there is room."""
        step_id, attempt_id = lease.step.step_id, lease.attempt.attempt_id
        try:
            async with self._shop.place_locks.of(self._shop.place_name(attempt_id)):
                while not await self._carried(lease, work, cancelled):
                    await asyncio.sleep(workshop.ROOM_S)
                    work = _go_on
        finally:
            self._shop.outputs.close(attempt_id)
            self._shop.meters.forget(attempt_id)
            self._shop.room.look(self._shop.worktree_path(attempt_id))
            del self._active[step_id]
            del self._cancels[step_id]
            self.wake()

    async def _carried(self, lease: workshop.Lease, work: "recovery.Work", cancelled: asyncio.Event) -> bool:
        """Whether the work came to an end that is on record; False where the disk had no room for it."""
        try:
            await work(self._shop, lease, cancelled)
        except errors.StorageFull:
            logger.warning(
                "nothing can be put on record",
                extra={"event": "attempt.no_room", "attempt_id": lease.attempt.attempt_id},
            )
            return False
        except (git.GitFailed, inspection.UnknownRevision) as error:
            # What an attempt, or a person, did to the repository is no defect of ours.
            logger.warning(
                "attempt can't be brought to its end",
                extra={"event": "attempt.stuck", "attempt_id": lease.attempt.attempt_id, "reason": str(error)},
            )
            await self._lose(lease, specs.Failure(kind=states.FailureKind.WORKSPACE, detail=str(error)))
        except Exception:
            logger.exception(
                "attempt crashed", extra={"event": "attempt.crashed", "attempt_id": lease.attempt.attempt_id}
            )
            await self._lose(lease)
        return True

    async def _lose(self, lease: workshop.Lease, failure: specs.Failure | None = None) -> None:
        """Put on record that nobody can tell what became of the attempt, and why as far as it is known, however often
        that has to be tried: a step whose task has ended must not look as if it were at work."""
        from local_daemon.scheduler import recovery

        while True:
            try:
                await recovery.loss_record(self._shop, lease.step.step_id, epoch=lease.attempt.epoch, failure=failure)
            except Exception:
                logger.exception(
                    "a lost attempt is not on record yet",
                    extra={"event": "attempt.not_lost_yet", "attempt_id": lease.attempt.attempt_id},
                )
                await asyncio.sleep(workshop.ROOM_S)
            else:
                return


async def _go_on(shop: workshop.Workshop, lease: workshop.Lease, cancelled: asyncio.Event) -> None:
    """Bring the step to its end from what is on record of it now."""
    from local_daemon.scheduler import recovery

    found = recovery.lease_reload(shop, lease.step.step_id)
    if found is None or _is_taken_over(shop, lease):
        return
    work = recovery.work_find(found)
    if work is None:
        await recovery.step_lost(shop, found.step.step_id, epoch=lease.attempt.epoch)
    else:
        await work(shop, found, cancelled)


def _is_taken_over(shop: workshop.Workshop, lease: workshop.Lease) -> bool:
    """Whether a later life of the daemon has the step by now: this one puts nothing on record of it, and ends nothing
    that works on it."""
    now = shop.database.read(partial(_lease_of, step_id=lease.step.step_id))
    return now is not None and now.attempt.epoch > lease.attempt.epoch


def _candidate(step: step_records.Step) -> leases.Candidate:
    return leases.Candidate(step_id=step.step_id, repository_id=step.repository_id, executor=step.executor)


def _lease_of(conn: Connection, *, step_id: ids.StepId) -> workshop.Lease | None:
    attempt = attempt_selectors.attempt_newest(conn, step_id)
    return None if attempt is None else workshop.lease_load(conn, attempt)


def _wait_s(due: datetime, now: datetime) -> float:
    return min(max(0.0, (due - now).total_seconds()), _DUE_LOOK_S)


def _next_due(conn: Connection) -> datetime | None:
    times = (step_selectors.step_next_retry(conn), gate_selectors.gate_next_expiry(conn))
    return min((time for time in times if time is not None), default=None)


def _due_apply(tx: Transaction) -> None:
    for step in step_selectors.steps_retry_due(tx.connection, tx.now):
        steps.step_advance(tx, step_id=step.step_id, event=states.StepEvent.DUE)
        runs.run_refresh(tx, run_id=step.run_id)
    for gate in gates.gates_expire_due(tx):
        moved = steps.step_gate_closed(tx, gate=gate)
        runs.run_refresh(tx, run_id=moved.run_id)
