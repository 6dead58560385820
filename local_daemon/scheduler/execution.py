"""One attempt, from its lease until its executor has ended.

Each stage does its outside work first and records it in one transaction afterwards, so that after a crash the record
says how far the attempt had certainly come. What it came to is `conclusion`'s affair; what a later daemon does with an
unfinished one is `recovery`'s. Called by `loop`. Tests: tests/integration/daemon/test_execution.py.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local_daemon.attempts import services as attempts
from local_daemon.executors import launching, registry
from local_daemon.executors import port as executor_port
from local_daemon.processes import children, flood, latch, process_table, silence
from local_daemon.protocol import errors, specs, states
from local_daemon.scheduler import (
    clearing,
    conclusion,
    kept_secrets,
    leftovers,
    metering,
    outcome_file,
    outputs,
    owner_rights,
    provision,
    spending,
    unconfirmed,
    verdict,
    workshop,
)
from local_daemon.steps import selectors as step_selectors
from local_daemon.steps import services as steps
from local_daemon.storage.transaction import Transaction
from local_daemon.worktrees import configuration, folders, git, inspection, room, worktree
from local_daemon.worktrees import uncommitted as uncommitted_changes

logger = logging.getLogger(__name__)


class CouldNotStart(Exception):
    """The attempt ended before its executor was released: nothing ran."""

    def __init__(self, failure: specs.Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


class RepositoryHeld(CouldNotStart):
    """A step of the repository has come to need attention since this one was leased: this one waits its turn again."""

    def __init__(self) -> None:
        super().__init__(
            specs.Failure(
                kind=states.FailureKind.POLICY, detail="another step of this repository needs attention", retryable=True
            )
        )


LAUNCHER_LOST = workshop.End(
    status=None,
    failure=specs.Failure(
        kind=states.FailureKind.INTERRUPTED, detail="the launcher was ended before its release", retryable=True
    ),
)


async def attempt_execute(shop: workshop.Workshop, lease: workshop.Lease, cancelled: asyncio.Event) -> None:
    """Carry one leased attempt to its end; `cancelled` asks it to end early. Every outcome is on record afterwards."""
    place = None
    try:
        place = await _worktree_make(shop, lease)
        async with _looking_beside(shop, lease, place) as beside:
            await provision.worktree_provision(shop, lease, place, cancelled)
            workshop.output_open(shop, lease)
            process = await _start(shop, lease, place, cancelled)
            shop.room.look(place.path)
            if shop.spares is not None and not shop.room.is_full:
                shop.spares.fill()
            end = LAUNCHER_LOST if process is None else await _watch(shop, lease, place, process, cancelled)
            lease = await exit_record(shop, lease, end, await beside)
    except RepositoryHeld as reason:
        again = verdict.Verdict(event=states.StepEvent.RETRY, failure=reason.failure, retry_delay_s=0)
        await attempt_give_up(shop, lease, place, reason.failure, is_cancelled=cancelled.is_set(), reached=again)
        return
    except (CouldNotStart, provision.NotProvisioned) as reason:
        await attempt_give_up(shop, lease, place, reason.failure, is_cancelled=cancelled.is_set())
        return
    await conclusion.attempt_conclude(shop, lease, place, end=end, cancelled=cancelled)


async def _worktree_make(shop: workshop.Workshop, lease: workshop.Lease) -> worktree.Worktree:
    path = shop.worktree_path(lease.attempt.attempt_id)
    try:
        await clearing.place_clear(shop, lease)
        await leftovers.room_make(shop)
        base = lease.begins_with or lease.task.base or await _head(shop, lease)
        origin = None
        if lease.begins_with is not None and lease.counts_from is not None:
            # What was done before the question is part of this attempt's changes, as it is of its thread.
            origin = await inspection.revision_resolve(
                lease.repository_root, lease.counts_from, trusted_root=shop.trusted_root
            )
        place = await worktree.worktree_create(lease.repository_root, path=path, base=base, spares=shop.spares)
        return place if origin is None else replace(place, base_commit=origin.commit, base_tree=origin.tree)
    except configuration.ConfigurationChanged as error:
        failure = specs.Failure(kind=states.FailureKind.POLICY, detail=str(error), retryable=True)
        raise CouldNotStart(failure) from error
    except clearing.PlaceHeld as error:
        raise CouldNotStart(specs.Failure(kind=states.FailureKind.WORKSPACE, detail=str(error))) from error
    except room.RoomUsedUp as error:
        shop.room.say()
        failure = specs.Failure(kind=states.FailureKind.WORKSPACE, detail=str(error), retryable=True)
        raise CouldNotStart(failure) from error
    except (git.GitFailed, inspection.UnknownRevision, folders.FolderRefused, OSError) as error:
        failure = specs.Failure(kind=states.FailureKind.WORKSPACE, detail=f"no worktree: {_plain(error)}")
        raise CouldNotStart(failure) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What is found out while the executor works: what the operator had not committed, where the attempt began at what
    is checked out, and the version of the program that ran."""

    uncommitted: specs.Uncommitted | None = None
    executor_version: str | None = None


_NOTHING_BESIDE = Beside()


@asynccontextmanager
async def _looking_beside(
    shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree
) -> AsyncIterator[asyncio.Future[Beside]]:
    """Look for it; nobody waits for it before the executor has ended."""
    looking = asyncio.ensure_future(_look(shop, lease, place))
    try:
        yield looking
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _look(shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree) -> Beside:
    uncommitted, version = await asyncio.gather(_uncommitted(lease, place), _version(shop, lease))
    return Beside(uncommitted=uncommitted, executor_version=version)


async def _version(shop: workshop.Workshop, lease: workshop.Lease) -> str | None:
    try:
        return await shop.executors.version_find(lease.step.executor, lease.task.profile)
    except (registry.UnknownExecutor, registry.UnknownProfile):
        return None  # Nothing was started.


async def _uncommitted(lease: workshop.Lease, place: worktree.Worktree) -> specs.Uncommitted | None:
    if not lease.is_from_head:
        return None
    return await uncommitted_changes.uncommitted_beside(place, repository_root=lease.repository_root)


async def _head(shop: workshop.Workshop, lease: workshop.Lease) -> str:
    """What an attempt begins with that names nothing: what is checked out, or the folder as it is now."""
    if lease.folder == lease.repository_root:
        return "HEAD"
    return await folders.snapshot_take(
        lease.folder, git_root=lease.repository_root, limits=shop.folder_limits, taken_at=lease.attempt.leased_at
    )


async def _start(
    shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree, cancelled: asyncio.Event
) -> latch.RunningProcess | None:
    """Launch behind the latch, commit what identifies the process, and only then let it go. None: somebody ended the
    launcher in between, so nothing ran, although the record says it might have."""
    await _secrets_keep(shop, lease)
    latched = _launch(shop, lease)
    is_released = False
    try:
        if cancelled.is_set():
            raise CouldNotStart(specs.Failure(kind=states.FailureKind.INTERRUPTED, detail="cancelled before it began"))
        version = shop.executors.version_seen(lease.step.executor, lease.task.profile)
        is_started = await shop.database.write(
            "attempt_start",
            lambda tx: _start_apply(tx, lease, latched, base_commit=place.base_commit, executor_version=version),
        )
        if not is_started:
            raise RepositoryHeld
        is_released = True
        process = latched.release()
    except latch.LauncherLost:
        return None
    finally:
        if not is_released:
            await latched.abort()
    logger.info(
        "executor started",
        extra={"event": "attempt.started", "attempt_id": lease.attempt.attempt_id, "call_id": lease.step.call_id},
    )
    return process


async def _secrets_keep(shop: workshop.Workshop, lease: workshop.Lease) -> None:
    """For whoever cleans its output: what no log may show is known before anything is printed."""
    scratch = shop.scratch_path(lease.attempt.attempt_id)

    def keep() -> None:
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept_secrets.secrets_keep(shop.secrets_key, scratch, workshop.secrets_with_made(shop, lease))

    try:
        await asyncio.to_thread(keep)
    except OSError as error:
        raise CouldNotStart(specs.Failure(kind=states.FailureKind.WORKSPACE, detail=_plain(error))) from error


def _launch(shop: workshop.Workshop, lease: workshop.Lease) -> latch.Latched:
    scratch = shop.scratch_path(lease.attempt.attempt_id)
    accounts = spending.lease_accounts(shop, lease, now=datetime.now(UTC), told=shop.meters.told())
    refused = spending.start_refused(accounts)
    if refused is not None:
        raise CouldNotStart(refused)
    try:
        executor = shop.executors.executor_get(lease.step.executor)
        profile = shop.executors.profile_find(lease.step.executor, lease.task.profile)
        return launching.attempt_launch(
            executor,
            replace(
                workshop.executor_task(shop, lease, profile=profile),
                budget_usd=spending.dollars_left(accounts),
                key=kept_secrets.step_key(shop.secrets_key, lease.step.step_id),
            ),
            operator_environment=shop.environment,
            passed_names=shop.passed_names,
            stdout=scratch / outputs.STDOUT,
            stderr=scratch / outputs.STDERR,
            outcome=scratch / outcome_file.NAME,
        )
    except (registry.UnknownExecutor, registry.UnknownProfile, executor_port.TaskUnsuitable) as error:
        raise CouldNotStart(specs.Failure(kind=states.FailureKind.EXECUTOR, detail=str(error))) from error
    except (children.LaunchFailed, OSError) as error:
        raise CouldNotStart(specs.Failure(kind=states.FailureKind.WORKSPACE, detail=_plain(error))) from error


def _plain(error: Exception) -> str:
    # What the operating system says names absolute paths, which never leave the machine.
    return error.strerror or "input/output error" if isinstance(error, OSError) else str(error)


def _start_apply(
    tx: Transaction, lease: workshop.Lease, latched: latch.Latched, *, base_commit: str, executor_version: str | None
) -> bool:
    """False, and nothing is changed, where the repository is held by now."""
    # What it would begin with may be what the attempt before it has changed.
    if step_selectors.repository_is_held(tx.connection, lease.step.repository_id):
        return False
    attempts.attempt_started(
        tx,
        attempt_id=lease.attempt.attempt_id,
        epoch=lease.attempt.epoch,
        pid=latched.pid,
        process_start=latched.started_at,
        boot_id=process_table.boot_id(),
        base_commit=base_commit,
        executor_version=executor_version,
    )
    steps.step_advance(tx, step_id=lease.step.step_id, event=states.StepEvent.RELEASED)
    return True


async def _watch(
    shop: workshop.Workshop,
    lease: workshop.Lease,
    place: worktree.Worktree,
    process: latch.RunningProcess,
    cancelled: asyncio.Event,
) -> workshop.End:
    """Wait for the process, the clock, a cancel, the end of a budget, too long a silence or a flood, whichever comes
    first; then see the whole process family gone."""
    failure = specs.Failure(
        kind=states.FailureKind.TIMEOUT, detail=f"not finished after {lease.task.timeout_s} s", retryable=True
    )
    ends = asyncio.ensure_future(process.wait(lease.task.timeout_s))
    cancels = asyncio.ensure_future(cancelled.wait())
    stops = [asyncio.ensure_future(stop) for stop in _stops(shop, lease)]
    watching: set[asyncio.Future[Any]] = {ends, cancels, *stops}
    try:
        await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
        if not ends.done():
            failure = next((stop.result() for stop in stops if stop.done()), failure)
    finally:
        for waiting in watching:
            waiting.cancel()
            with suppress(asyncio.CancelledError, TimeoutError):
                await waiting
    has_exited = process.exit_status is not None
    ended = await latch.terminate_shielded(process, grace_s=shop.cancel_grace_s)
    await owner_rights.rights_give_back(shop, lease.attempt.attempt_id, place.git_dir)
    is_stopped = not has_exited and not cancelled.is_set()
    survivors = len(ended.survivors) + (0 if await is_over_elsewhere(shop, lease) else 1)
    if survivors:
        return workshop.End(status=process.exit_status, failure=unconfirmed.failure(survivors))
    return workshop.End(status=process.exit_status, failure=failure if is_stopped else None)


async def is_over_elsewhere(shop: workshop.Workshop, lease: workshop.Lease) -> bool:
    """Whether nothing goes on that the executor's process began outside its own family. Raises UnknownExecutor."""
    executor = shop.executors.executor_get(lease.step.executor)
    if not isinstance(executor, executor_port.Remote):
        return True
    stdout = shop.scratch_path(lease.attempt.attempt_id) / outputs.STDOUT
    return await asyncio.to_thread(executor.is_over, stdout=stdout)


def _stops(shop: workshop.Workshop, lease: workshop.Lease) -> Iterator[Coroutine[Any, Any, specs.Failure]]:
    """What else may stop the executor, each with why."""
    yield _flooded(shop.scratch_path(lease.attempt.attempt_id))
    if spending.is_bounded(spending.lease_accounts(shop, lease, now=datetime.now(UTC))):
        yield metering.until_overspent(shop, lease)
    silent_s = lease.task.stall_timeout_s
    if silent_s is None:
        profile = shop.executors.profile_find(lease.step.executor, lease.task.profile)
        silent_s = 0 if profile is None else profile.stall_timeout_s
    if silent_s:
        yield _silent(shop.scratch_path(lease.attempt.attempt_id), for_s=silent_s)


async def _flooded(scratch: Path) -> specs.Failure:
    """What stops the executor, once it has printed more than it may."""
    bytes_max = flood.OUTPUT_BYTES_MAX
    await flood.until_flooded([scratch / outputs.STDOUT, scratch / outputs.STDERR], bytes_max=bytes_max)
    return specs.Failure(kind=states.FailureKind.EXECUTOR, detail=f"ended: it printed more than {bytes_max} bytes")


async def _silent(scratch: Path, *, for_s: int) -> specs.Failure:
    """What stops the executor, once it has said nothing for so long."""
    await silence.until_silent([scratch / outputs.STDOUT, scratch / outputs.STDERR], for_s=for_s)
    return specs.Failure(
        kind=states.FailureKind.TIMEOUT,
        cause=states.FailureCause.STALLED,
        detail=f"no output for {for_s} s",
        retryable=True,
    )


async def exit_record(
    shop: workshop.Workshop,
    lease: workshop.Lease,
    end: workshop.End,
    beside: Beside = _NOTHING_BESIDE,
) -> workshop.Lease:
    """Commit that the executor has ended, once the disk takes it: why it was ended nobody else knows. Answers the lease
    with its records as they are then."""

    def apply(tx: Transaction) -> workshop.Lease:
        attempt = attempts.attempt_exited(
            tx,
            attempt_id=lease.attempt.attempt_id,
            epoch=lease.attempt.epoch,
            exit_code=end.status.exit_code if end.status else None,
            signal=end.status.signal if end.status else None,
            failure=end.failure,
            uncommitted=beside.uncommitted,
            executor_version=beside.executor_version,
        )
        step = steps.step_advance(tx, step_id=lease.step.step_id, event=states.StepEvent.EXITED)
        return lease.with_records(step=step, attempt=attempt)

    while True:
        try:
            return await shop.database.write("attempt_exit", apply)
        except errors.StorageFull:
            logger.warning(
                "an executor's end is not on record yet",
                extra={"event": "attempt.no_room", "attempt_id": lease.attempt.attempt_id},
            )
            await asyncio.sleep(workshop.ROOM_S)


async def attempt_give_up(
    shop: workshop.Workshop,
    lease: workshop.Lease,
    place: worktree.Worktree | None,
    failure: specs.Failure,
    *,
    is_cancelled: bool,
    reached: verdict.Verdict | None = None,
) -> None:
    """End an attempt whose executor never started: abandoned, and its step cancelled, failed or tried again. Only a
    worktree that was made for it goes; without one, what stands at its place is an earlier attempt's. Where its hook
    may still run, it stays for a person to look at. What it was given of ignored files waits for whoever goes on."""
    reached = reached or verdict.failure_verdict(lease.task, failure, attempt_number=lease.attempt.number)
    stays = unconfirmed.is_said(failure)
    if stays:
        reached = verdict.Verdict(event=states.StepEvent.LOST, failure=failure)
    elif is_cancelled:
        reached = verdict.Verdict(event=states.StepEvent.CANCELLED)

    def apply(tx: Transaction) -> None:
        attempts.attempt_abandoned(tx, attempt_id=lease.attempt.attempt_id, epoch=lease.attempt.epoch, failure=failure)
        conclusion.verdict_apply(tx, lease, reached)

    # First, so that a daemon that dies in between finds them with the attempt or put aside, and the next one has them.
    is_returned = place is None or stays or await provision.ignored_return(shop, lease.attempt)
    await shop.database.write("attempt_give_up", apply)
    if stays:
        return
    if place is not None and is_returned:
        await worktree.worktree_discard(lease.repository_root, path=place.path)
    await conclusion.scratch_remove(shop.scratch_path(lease.attempt.attempt_id))
