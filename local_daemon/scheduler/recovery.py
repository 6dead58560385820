"""What an earlier life of the daemon left unfinished: found in the record, accounted for, never guessed.

    leased               never started: the latch was not released             ▶ abandoned, queued again, all at once
    running, no outcome  its launcher never let the program go                 ▶ abandoned, queued again
    running, outcome     it ended while nobody watched                         ▶ collected and judged as usual
    running, otherwise   the orphan is ended, its edits are kept               ▶ failed {interrupted}
    running, not ended   somebody survives                                     ▶ needs_attention
    exited               its changes may or may not be captured; again is safe ▶ collected and judged as usual
    recorded             its checks have no verdict yet                        ▶ run again on a clean worktree

Called by `loop` before anything is leased.
Tests: tests/journeys/test_crashes.py, tests/integration/daemon/test_bootstrap.py.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from local_daemon.attempts import lifecycle as attempt_lifecycle
from local_daemon.attempts import records as attempt_records
from local_daemon.attempts import selectors as attempt_selectors
from local_daemon.attempts import services as attempts
from local_daemon.executors import registry
from local_daemon.processes import children, process_table
from local_daemon.protocol import errors, ids, specs, states
from local_daemon.repositories import selectors as repositories
from local_daemon.runs import services as runs
from local_daemon.scheduler import (
    clearing,
    collection,
    conclusion,
    execution,
    outcome_file,
    provision,
    workshop,
)
from local_daemon.steps import lifecycle as step_lifecycle
from local_daemon.steps import selectors as step_selectors
from local_daemon.steps import services as steps
from local_daemon.storage.database import Connection
from local_daemon.storage.transaction import Transaction
from local_daemon.worktrees import bindings, configuration, inspection, worktree

logger = logging.getLogger(__name__)

Work = Callable[[workshop.Workshop, workshop.Lease, asyncio.Event], Awaitable[None]]

_INTERRUPTED = specs.Failure(
    kind=states.FailureKind.INTERRUPTED,
    detail="the daemon was gone while the executor ran; what it had changed is kept",
    retryable=True,
)
_NOT_LOOKED_AT = specs.Failure(
    kind=states.FailureKind.WORKSPACE,
    detail="what the attempt left could not be looked at, the repository's git configuration included; look at both "
    "before resolving the step",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An unfinished attempt, and what brings it to its end."""

    lease: workshop.Lease
    work: Work


async def attempts_recover(shop: workshop.Workshop, unfinished: Sequence[attempt_records.Attempt]) -> list[Found]:
    """Of the newest attempts of the steps at work, queue again what provably never started; answer what has to be
    accounted for, collected or checked."""
    resumed = []
    never_started = []
    for attempt in unfinished:
        if attempt.state is states.AttemptState.LEASED and _ran_nothing(shop, attempt):
            never_started.append(attempt)
            continue
        logger.info(
            "unfinished attempt found",
            extra={"event": "attempt.recovered", "attempt_id": attempt.attempt_id, "state": attempt.state},
        )
        if (lease := lease_reload(shop, attempt.step_id)) is not None and (work := work_find(lease)) is not None:
            resumed.append(_found(shop, lease, work))
        else:
            await loss_record(shop, attempt.step_id, epoch=attempt.epoch)
    for attempt in never_started:
        await provision.ignored_return(shop, attempt)
    if never_started:
        await _requeue(shop, never_started)
        # One line for all: there may be hundreds, and each is on record.
        logger.info(
            "attempts that never started were given up",
            extra={"event": "attempts.never_started", "attempts": len(never_started)},
        )
    return resumed


def work_find(lease: workshop.Lease) -> Work | None:
    """What brings an attempt to its end from where the record says it is; None where the record makes no sense."""
    return {
        states.AttemptState.LEASED: start_again,
        states.AttemptState.RUNNING: orphan_account,
        states.AttemptState.EXITED: conclusion_resume,
        states.AttemptState.RECORDED: checks_resume,
    }.get(lease.attempt.state)


def lease_reload(shop: workshop.Workshop, step_id: ids.StepId) -> workshop.Lease | None:
    """The step and its attempt as they are on record now; None where nothing is at work on it any more."""

    def query(conn: Connection) -> workshop.Lease | None:
        step, attempt = step_selectors.step_load(conn, step_id), attempt_selectors.attempt_newest(conn, step_id)
        if attempt is None or step.state not in step_lifecycle.AT_WORK:
            return None
        return workshop.lease_load(conn, attempt, step=step)

    return shop.database.read(query)


async def start_again(shop: workshop.Workshop, lease: workshop.Lease, cancelled: asyncio.Event) -> None:
    """Queue a step again whose executor was never released. Its hook may have been."""
    if provision.hook_may_run(shop, lease) and not (await clearing.family_end(shop, lease.attempt)).confirmed:
        await step_lost(shop, lease.step.step_id, epoch=lease.attempt.epoch)
    else:
        await _queue_again(shop, lease)


async def orphan_account(shop: workshop.Workshop, lease: workshop.Lease, cancelled: asyncio.Event) -> None:
    """Find out what became of a process that was on record as running, and go on from there."""
    workshop.output_open(shop, lease)
    attempt = lease.attempt
    path = shop.scratch_path(attempt.attempt_id) / outcome_file.NAME
    outcome, status = outcome_file.outcome_read(path)
    ended = await clearing.family_end(shop, attempt)
    if not ended.confirmed:
        await step_lost(shop, lease.step.step_id, epoch=lease.attempt.epoch)
        return
    # Only after its end is the file's absence a proof, and only if the machine was up all the time.
    if (
        outcome is outcome_file.Outcome.NOT_STARTED
        and attempt.boot_id == process_table.boot_id()
        and outcome_file.outcome_read(path)[0] is outcome_file.Outcome.NOT_STARTED
    ):
        await _queue_again(shop, lease)
        return
    if not await _is_over_elsewhere(shop, lease):
        await step_lost(shop, lease.step.step_id, epoch=lease.attempt.epoch)
        return
    end = workshop.End(status=status, failure=None if status is not None else _INTERRUPTED)
    await conclusion_resume(shop, await execution.exit_record(shop, lease, end), cancelled)


async def _is_over_elsewhere(shop: workshop.Workshop, lease: workshop.Lease) -> bool:
    try:
        return await execution.is_over_elsewhere(shop, lease)
    except registry.UnknownExecutor:
        return True  # The operator has taken it out meanwhile; only its process is known.


async def conclusion_resume(shop: workshop.Workshop, lease: workshop.Lease, cancelled: asyncio.Event) -> None:
    """Collect and judge what an executor left that has certainly ended."""
    workshop.output_open(shop, lease)
    attempt = lease.attempt
    try:
        place = await worktree.worktree_adopt(
            lease.repository_root,
            path=shop.worktree_path(attempt.attempt_id),
            base_commit=attempt.base_commit or "",
        )
    except (worktree.WorktreeMissing, inspection.UnknownRevision, bindings.RepositoryNotThere):
        await step_lost(shop, lease.step.step_id, epoch=lease.attempt.epoch)
        return
    status = None
    if attempt.exit_code is not None or attempt.signal is not None:
        status = children.ExitStatus(exit_code=attempt.exit_code, signal=attempt.signal)
    end = workshop.End(status=status, failure=attempt.failure)
    await conclusion.attempt_conclude(shop, lease, place, end=end, cancelled=cancelled)


async def checks_resume(shop: workshop.Workshop, lease: workshop.Lease, cancelled: asyncio.Event) -> None:
    """Run the checks of a recorded attempt again, on a worktree that holds what is recorded and nothing else."""
    if not (await clearing.family_end(shop, lease.attempt)).confirmed:
        await step_lost(shop, lease.step.step_id, epoch=lease.attempt.epoch)
        return
    path = shop.worktree_path(lease.attempt.attempt_id)
    trusted = await clearing.recorded_worktree_remove(shop, lease, is_renewed=True)
    base = lease.attempt.head_commit or lease.attempt.base_commit or "HEAD"
    try:
        place = await worktree.worktree_create(lease.repository_root, path=path, base=base, trusted=trusted)
    except configuration.ConfigurationChanged as error:
        failure = conclusion.configuration_failure(error.names)
        await step_lost(shop, lease.step.step_id, epoch=lease.attempt.epoch, failure=failure)
        return
    if lease.task.validations and not cancelled.is_set():
        try:
            await provision.worktree_provision(shop, lease, place, cancelled)
        except provision.NotProvisioned as reason:
            if not cancelled.is_set():
                await step_lost(shop, lease.step.step_id, epoch=lease.attempt.epoch, failure=reason.failure)
                return
    if await conclusion.step_conclude(shop, lease, place, cancelled=cancelled):
        await conclusion.worktree_clear(shop, lease, place, recorded_tree=place.base_tree)


async def loss_record(
    shop: workshop.Workshop, step_id: ids.StepId, *, epoch: int, failure: specs.Failure | None = None
) -> None:
    """Put a loss on record with what can be seen of it, or else without: what can't be looked at once can't be the next
    time either, and a step that nobody works on must not look as if it were at work. Raises StorageFull."""
    try:
        await step_lost(shop, step_id, epoch=epoch, failure=failure)
    except errors.StorageFull:
        raise
    except Exception:
        logger.exception("a lost attempt can't be looked at", extra={"event": "attempt.unseen", "step_id": step_id})
        await step_lost(shop, step_id, epoch=epoch, failure=_NOT_LOOKED_AT, is_looked_at=False)


async def step_lost(
    shop: workshop.Workshop,
    step_id: ids.StepId,
    *,
    epoch: int,
    failure: specs.Failure | None = None,
    is_looked_at: bool = True,
) -> None:
    """Say that the record can't tell what happened, and why if it is known: above all, that the repository's git
    configuration isn't what the attempt began with. Whatever may still run is ended, whatever was changed stays.
    Nothing happens where another life of the daemon than that of `epoch` has the attempt by now."""
    attempt = shop.database.read(lambda conn: attempt_selectors.attempt_newest(conn, step_id))
    if attempt is not None and attempt.epoch != epoch:
        return
    reason, usage = failure, None
    if attempt is not None and is_looked_at:
        if attempt.state is states.AttemptState.RUNNING and attempt.pid is not None:
            await clearing.family_end(shop, attempt)
        reason = await _repository_failure(shop, attempt) or failure
        lost = lease_reload(shop, step_id)
        usage = None if lost is None else collection.usage_told(await collection.usage_left(shop, lost), status=None)

    def apply(tx: Transaction) -> None:
        step = step_selectors.step_load(tx.connection, step_id)
        if step.state not in step_lifecycle.AT_WORK:
            return
        newest = attempt_selectors.attempt_newest(tx.connection, step_id)
        if newest is not None and newest.epoch != epoch:
            return
        if newest is not None and newest.state in attempt_lifecycle.UNFINISHED:
            attempts.attempt_abandoned(tx, attempt_id=newest.attempt_id, epoch=epoch, failure=_INTERRUPTED, usage=usage)
        steps.step_advance(
            tx,
            step_id=step_id,
            event=states.StepEvent.LOST,
            failure=reason,
            warnings=(*step.warnings, "the record can't tell what happened; look at the worktree before resolving"),
        )
        runs.run_refresh(tx, run_id=step.run_id)

    await shop.database.write("step_lost", apply)


def _found(shop: workshop.Workshop, lease: workshop.Lease, work: Work) -> Found:
    began_with = clearing.configuration_before(shop, lease.attempt)
    return Found(lease=lease, work=partial(_carry_on, work=work, began_with=began_with))


async def _carry_on(
    shop: workshop.Workshop,
    lease: workshop.Lease,
    cancelled: asyncio.Event,
    *,
    work: Work,
    began_with: configuration.Configuration | None,
) -> None:
    """Hold on to what the attempt began with until it is over: attempts that start meanwhile begin with the same, not
    with what this one may have written."""
    await work(shop, lease, cancelled)
    del began_with


async def _repository_failure(shop: workshop.Workshop, attempt: attempt_records.Attempt) -> specs.Failure | None:
    """What a person has to know first of an attempt's repository: that it is not there, that it is another one, or that
    its git configuration is not what the attempt began with."""
    root = shop.database.read(lambda conn: repositories.repository_get(conn, attempt.repository_id)).git_root
    try:
        bindings.common_dir_find(root)
    except bindings.RepositoryNotThere as error:
        detail = f"{error.detail} Then resolve the step: what the attempt changed is in its worktree."
        return specs.Failure(kind=states.FailureKind.WORKSPACE, detail=detail)
    except bindings.RepositoryDiverted as error:
        return specs.Failure(kind=states.FailureKind.POLICY, detail=error.detail)
    began_with = clearing.configuration_before(shop, attempt)
    if began_with is None:
        return None
    now = await configuration.configuration_read(began_with.common_dir)
    names = await configuration.names_changed(began_with, now)
    return conclusion.configuration_failure(names) if names else None


def _ran_nothing(shop: workshop.Workshop, attempt: attempt_records.Attempt) -> bool:
    """Whether the step may be queued again at once. A worktree of its attempt is in nobody's way then, and the sweep
    takes it away; what a hook left has to be looked at first, and a place that is taken again cleared."""
    return attempt.attempt_id not in shop.places and not shop.scratch_path(attempt.attempt_id).exists()


async def _queue_again(shop: workshop.Workshop, lease: workshop.Lease) -> None:
    """Abandon an attempt that provably never started its executor; its step goes back to the queue. What an earlier
    attempt left in its place stays for the next one to clear."""
    if clearing.is_own_place(shop, lease.attempt) and await provision.ignored_return(shop, lease.attempt):
        await worktree.worktree_discard(lease.repository_root, path=shop.worktree_path(lease.attempt.attempt_id))
    await conclusion.scratch_remove(shop.scratch_path(lease.attempt.attempt_id))
    await _requeue(shop, [lease.attempt])


async def _requeue(shop: workshop.Workshop, given_up: Sequence[attempt_records.Attempt]) -> None:
    """All of them in one commit, and a run is told of once, however many of its steps there are."""
    await shop.database.write("attempt_requeue", lambda tx: _requeue_apply(tx, given_up))


def _requeue_apply(tx: Transaction, given_up: Sequence[attempt_records.Attempt]) -> None:
    to_cancel = step_selectors.steps_cancel_requested(tx.connection, [attempt.step_id for attempt in given_up])
    for attempt in given_up:
        attempt_id, step_id = attempt.attempt_id, attempt.step_id
        if attempt.state is states.AttemptState.RUNNING:
            attempts.attempt_exited(
                tx, attempt_id=attempt_id, epoch=attempt.epoch, exit_code=None, signal=None, failure=_INTERRUPTED
            )
            steps.step_advance(tx, step_id=step_id, event=states.StepEvent.EXITED)
        attempts.attempt_abandoned(tx, attempt_id=attempt_id, epoch=attempt.epoch, failure=_INTERRUPTED)
        if step_id in to_cancel:
            steps.step_advance(tx, step_id=step_id, event=states.StepEvent.CANCELLED)
        else:
            steps.step_advance(tx, step_id=step_id, event=states.StepEvent.RETRY)
            steps.step_advance(tx, step_id=step_id, event=states.StepEvent.DUE)
    for run_id in dict.fromkeys(attempt.run_id for attempt in given_up):
        runs.run_refresh(tx, run_id=run_id)
