"""What an attempt left, gathered once its executor has ended: its report, its changes, its output, the bytes durable.

Deliberately judges nothing, and puts nothing on record before its caller does: what a crash loses of it is still in the
worktree, and is gathered again. Called by `conclusion`, by `recovery` for what a lost executor had used, and by
`clearing` for what an attempt changed that was given up. Tests: tests/integration/daemon/test_execution.py.
"""

import asyncio
import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from local_daemon.artifacts.records import ArtifactKind
from local_daemon.attempts import records as attempt_records
from local_daemon.attempts import services as attempts
from local_daemon.executors import interpretation, registry
from local_daemon.executors import port as executor_port
from local_daemon.processes import children
from local_daemon.protocol import errors, specs, states
from local_daemon.scheduler import outputs, parts, workshop
from local_daemon.steps import services as steps
from local_daemon.storage.transaction import Transaction
from local_daemon.worktrees import changes as worktree_changes
from local_daemon.worktrees import diffs, git, ignored, recorders, worktree

_IGNORED_BYTES_MAX = 16 * 1024 * 1024
"""How much an attempt's ignored files may take together; the smallest are kept first."""

_NO_ROOM = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
"""So git says why it could not write; it speaks English here, as this process does."""

_QUESTION_SEPARATOR = "\n\n"
_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """Everything of an attempt but its verdict: what is to be put on record of it, and the stored bytes.

    `recorded_tree` is what its worktree may hold to be taken away; None where it holds more than a patch can."""

    collected: attempt_records.Collected
    parts: Sequence[parts.Part]
    patch: bytes
    recorded_tree: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Captured:
    """What an attempt left: its changes, unless too large for one patch; `failure` says what a patch can't hold."""

    changes: worktree_changes.Changes | None
    head_commit: str
    failure: specs.Failure | None = None


async def attempt_collect(
    shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree, end: workshop.End
) -> Collection:
    """Gather it; the executor must have ended. What it said is read while git looks at what it did. Raises StorageFull:
    it can be gathered again once there is room."""
    with outputs.room_required(), _room_required_by_git():
        return await _collect(shop, lease, place, end)


async def _collect(
    shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree, end: workshop.End
) -> Collection:
    saying = asyncio.ensure_future(_said(shop, lease, end))
    try:
        captured = await _capture(shop, lease, place)
        patch = await asyncio.to_thread(_changes_keep, shop, lease, place, captured)
        report, output = await saying
    finally:
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)
    changes = captured.changes
    return Collection(
        collected=attempt_records.Collected(
            base_commit=place.base_commit,
            head_commit=captured.head_commit,
            ref=lease.ref,
            patch_artifact_id=None if patch is None else patch.artifact_id,
            patch_sha256=None if patch is None else patch.sha256,
            changes=[] if changes is None else [changed_file(file) for file in changes.files],
            summary=report.summary,
            failure=_failure(report, captured, end),
            usage=usage_told(report.usage, status=end.status),
            thread_id=report.thread_id,
            warnings=[*report.warnings, *_warnings(captured)],
            question=_QUESTION_SEPARATOR.join(report.questions) or None,
        ),
        parts=output if patch is None else [patch, *output],
        patch=b"" if changes is None else changes.patch,
        recorded_tree=None if changes is None or changes.unrecorded else changes.tree,
    )


async def changes_capture(
    lease: workshop.Lease, place: worktree.Worktree, *, by: recorders.Recorders | None = None
) -> worktree_changes.Changes:
    """Have git keep what the attempt changed, with the same words and the same time whenever that is done. Raises
    ChangesTooLarge (kept all the same), GitFailed."""
    return await worktree_changes.changes_capture(
        place, ref=lease.ref, message=f"{lease.step.title}\n", captured_at=lease.attempt.leased_at, by=by
    )


def collection_record(tx: Transaction, *, lease: workshop.Lease, left: Collection) -> workshop.Lease:
    """Put it on record; answers the lease with its records as they are then."""
    for part in left.parts:
        parts.part_record(tx, lease, part)
    attempt = attempts.attempt_recorded(
        tx, attempt_id=lease.attempt.attempt_id, epoch=lease.attempt.epoch, collected=left.collected
    )
    step = steps.step_advance(
        tx, step_id=lease.step.step_id, event=states.StepEvent.COLLECTED, patch_sha256=attempt.patch_sha256
    )
    return lease.with_records(step=step, attempt=attempt)


def changed_file(file: diffs.ChangedFile) -> specs.ChangedFile:
    """A changed path as the record has it."""
    return specs.ChangedFile(
        path=file.path, old_path=file.old_path, status=file.status, additions=file.additions, deletions=file.deletions
    )


def usage_told(usage: executor_port.Usage, *, status: children.ExitStatus | None) -> specs.Usage:
    """What an executor reports of its usage, as the record holds it. One that did not end by itself may have used more
    than it told."""
    told = specs.Usage(
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=usage.cost_usd,
        model=usage.model,
    )
    was_ended = status is None or status.may_be_signalled
    return told.model_copy(update={"is_partial": True}) if was_ended and told != specs.Usage() else told


async def usage_left(shop: workshop.Workshop, lease: workshop.Lease) -> executor_port.Usage:
    """What an executor had told of its usage by the time it was lost."""
    scratch = shop.scratch_path(lease.attempt.attempt_id)
    try:
        return await asyncio.to_thread(
            interpretation.usage_so_far,
            shop.executors.executor_get(lease.step.executor),
            workshop.executor_task(shop, lease),
            stdout=scratch / outputs.STDOUT,
            stderr=scratch / outputs.STDERR,
        )
    except (registry.UnknownExecutor, FileNotFoundError):
        return executor_port.Usage()


@contextmanager
def _room_required_by_git() -> Iterator[None]:
    try:
        yield
    except git.GitFailed as error:
        if any(reason in str(error) for reason in _NO_ROOM):
            raise errors.StorageFull from error
        raise


async def _said(
    shop: workshop.Workshop, lease: workshop.Lease, end: workshop.End
) -> tuple[executor_port.ExecutorReport, list[parts.Part]]:
    """What the executor says of its own run; what the daemon did to it outranks that. And all that was printed."""
    if end.status is None:
        report = executor_port.ExecutorReport(
            outcome=executor_port.Outcome.FAILED,
            failure_kind=states.FailureKind.INTERRUPTED,
            detail="ended by the daemon",
            usage=await usage_left(shop, lease),
        )
        return report, await asyncio.to_thread(_output_keep, shop, lease)
    task = workshop.executor_task(shop, lease)
    return await asyncio.to_thread(_interpret, shop, lease, task, end.status)


def _interpret(
    shop: workshop.Workshop, lease: workshop.Lease, task: executor_port.ExecutorTask, status: children.ExitStatus
) -> tuple[executor_port.ExecutorReport, list[parts.Part]]:
    scratch = shop.scratch_path(lease.attempt.attempt_id)
    report = interpretation.attempt_interpret(
        shop.executors.executor_get(lease.step.executor),
        task,
        status,
        stdout=scratch / outputs.STDOUT,
        stderr=scratch / outputs.STDERR,
        home=shop.operator_home,
        directories={"repository": lease.folder, "daemon": shop.home},
        secrets=workshop.secrets_known(shop, lease),
    )
    return report, _output_keep(shop, lease)


def _failure(report: executor_port.ExecutorReport, captured: _Captured, end: workshop.End) -> specs.Failure | None:
    if end.failure is not None:
        return end.failure
    if report.outcome is executor_port.Outcome.FAILED:
        return specs.Failure(
            kind=report.failure_kind, cause=report.cause, detail=report.detail, retryable=report.is_retryable
        )
    return captured.failure


async def _capture(shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree) -> _Captured:
    try:
        taken = await changes_capture(lease, place, by=shop.recorders)
    except worktree_changes.ChangesTooLarge as error:
        failure = specs.Failure(kind=states.FailureKind.ARTIFACT, detail=str(error))
        return _Captured(changes=None, head_commit=error.head_commit, failure=failure)
    return _Captured(changes=taken, head_commit=taken.head_commit, failure=_unrecordable(taken))


def _unrecordable(taken: worktree_changes.Changes) -> specs.Failure | None:
    """What was left that no patch can hold."""
    if taken.unrecorded:
        listed = ", ".join(taken.unrecorded[:_NAMED])
        detail = f"submodules changed, which a patch of this repository can't hold; the worktree is kept: {listed}"
    elif taken.special_files:
        listed = ", ".join(taken.special_files[:_NAMED])
        detail = (
            "named pipes, sockets or devices were left where git expects files; they were taken away, and everything "
            f"else is recorded: {listed}"
        )
    elif taken.is_head_lost:
        detail = (
            "the worktree's HEAD was taken away, so nobody can tell what was committed there; all that its files hold "
            "is recorded"
        )
    else:
        return None
    return specs.Failure(kind=states.FailureKind.ARTIFACT, detail=detail)


def _changes_keep(
    shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree, captured: _Captured
) -> parts.Part | None:
    """Make the patch durable, and keep what it passes over, on this machine only and as far as it fits. An empty patch
    is evidence; one that is too large is none."""
    if captured.changes is None:
        return None
    if captured.changes.ignored:
        destination = shop.ignored_path(lease.attempt.attempt_id)
        destination.parent.mkdir(mode=0o700, exist_ok=True)
        ignored.ignored_archive(place, captured.changes.ignored, destination=destination, bytes_max=_IGNORED_BYTES_MAX)
    blob = shop.blobs.blob_put_bytes(captured.changes.patch)
    return parts.Part(kind=ArtifactKind.PATCH, name="changes.patch", media_type="text/x-diff", blob=blob)


def _output_keep(shop: workshop.Workshop, lease: workshop.Lease) -> list[parts.Part]:
    """Make what it printed durable. An empty output is no evidence."""
    stored = []
    for kind, name in ((ArtifactKind.STDOUT, outputs.STDOUT), (ArtifactKind.STDERR, outputs.STDERR)):
        cleaned = shop.outputs.finish(lease.attempt.attempt_id, name)
        if cleaned is not None:
            stored.append(parts.part_of_clean(shop, cleaned, kind=kind, name=f"{name}.log"))
    return stored


def _warnings(captured: _Captured) -> list[str]:
    if captured.changes is None:
        return []
    warnings = []
    if captured.changes.ignored:
        listed = ", ".join(file.path for file in captured.changes.ignored[:_NAMED])
        count = len(captured.changes.ignored)
        counted = "1 ignored file was changed and is" if count == 1 else f"{count} ignored files were changed and are"
        warnings.append(f"{counted} not in the patch: {listed}")
    if captured.changes.empty_submodules:
        listed = ", ".join(captured.changes.empty_submodules[:_NAMED])
        warnings.append(
            f"submodules were empty, since nobody initialised them: {listed}; a hook in .ropeway/repository.toml can "
            "(`git submodule update --init`)"
        )
    return warnings
