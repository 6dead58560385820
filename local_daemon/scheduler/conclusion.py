"""What an attempt came to: its changes and output recorded, its checks run, its evidence signed, its step moved on.

Two transactions: `attempt_collect` makes the edits and the output durable, `step_conclude` adds checks, evidence and
the verdict. A later daemon may have to do either, so what they need comes from the record and the worktree. Called by
`execution` and `recovery`. Tests: tests/integration/daemon/test_execution.py.
"""

import asyncio
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local_daemon.artifacts import selectors as artifact_selectors
from local_daemon.artifacts.records import Artifact, ArtifactKind
from local_daemon.attempts import services as attempts
from local_daemon.attempts.records import Attempt
from local_daemon.conversations import selectors as turns
from local_daemon.conversations import services as conversations
from local_daemon.evidence import manifest, signing
from local_daemon.evidence import services as evidence
from local_daemon.executors import interpretation, registry
from local_daemon.executors import port as executor_port
from local_daemon.policies import links, rules
from local_daemon.processes import children
from local_daemon.protocol import specs, states, version, wire
from local_daemon.protocol.policies import Reaction
from local_daemon.runs import services as runs
from local_daemon.scheduler import checks, outputs, parts, provision, spending, threads, unconfirmed, verdict, workshop
from local_daemon.steps import selectors as step_selectors
from local_daemon.steps import services as steps
from local_daemon.storage.transaction import Transaction
from local_daemon.worktrees import changes as worktree_changes
from local_daemon.worktrees import configuration, diffs, ignored, worktree

logger = logging.getLogger(__name__)

_IGNORED_BYTES_MAX = 16 * 1024 * 1024
"""How much an attempt's ignored files may take together; the smallest are kept first."""

_THREAD_MAY_BE_LOST = frozenset({None, states.FailureCause.CRASHED, states.FailureCause.UNCLEAR})
"""With another cause a fresh thread would end the same way."""

_QUESTION_SEPARATOR = "\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What an attempt left: its changes, unless too large for one patch; `failure` says what a patch can't hold."""

    changes: worktree_changes.Changes | None
    head_commit: str
    failure: specs.Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The manifest of an attempt, stored, and the daemon's signature over it."""

    manifest: parts.Part
    signature: str


async def attempt_conclude(
    shop: workshop.Workshop,
    lease: workshop.Lease,
    place: worktree.Worktree,
    *,
    end: workshop.End,
    cancelled: asyncio.Event,
) -> None:
    """Everything after the executor's end. The worktree goes only when all it holds is recorded."""
    report = await _report(shop, lease, end)
    captured = await _capture(lease, place)
    await asyncio.to_thread(_ignored_keep, shop, lease, place, captured)
    stored = await asyncio.to_thread(_parts_store, shop, lease, captured)
    lease = await shop.database.write(
        "attempt_collect", lambda tx: _collect_apply(tx, lease, place, report, captured, end, stored)
    )
    is_over = await step_conclude(shop, lease, place, cancelled=cancelled)
    # Where somebody may still work, what is done there has to stay.
    if captured.changes is not None and not captured.changes.unrecorded and is_over:
        await worktree_clear(shop, lease, place, recorded_tree=captured.changes.tree)


async def step_conclude(
    shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree, *, cancelled: asyncio.Event
) -> bool:
    """Run the checks of a recorded attempt, reach the verdict, sign the evidence, and move the step on. Answers whether
    nothing of the attempt may still run."""
    attempt = lease.attempt
    checked = checks.Checked()
    if attempt.failure is None and attempt.question is None:
        checked = await checks.checks_run(shop, lease, place, cancelled=cancelled)
    finished = checked.finished
    still_runs = _still_runs(attempt, checked)
    patch = await asyncio.to_thread(_patch_read, shop, lease)
    changes = await _changes_all(lease, place)
    names = await place.configuration_changed()
    new_links = await _links_new(lease, place, patch)
    policies = shop.database.read(lambda conn: step_selectors.step_policies(conn, lease.step.step_id))
    decision = rules.changes_judge(
        task=lease.task,
        changes=changes,
        patch=patch,
        new_links=new_links,
        policies=policies[1:],
        known_secrets=workshop.secrets_known(shop, lease),
    )
    overspent, overspent_gate = spending.overspent(spending.lease_accounts(shop, lease, now=datetime.now(UTC)))
    reached = verdict.verdict_reach(
        lease.task,
        verdict.Findings(
            attempt_number=attempt.number,
            attention=configuration_failure(names) if names else still_runs,
            failure=attempt.failure,
            question=attempt.question,
            question_digest=None if attempt.question is None else wire.sha256_hex(attempt.question.encode()),
            checks=[verdict.CheckResult(name=check.name, verdict=check.verdict) for check in finished],
            policy_failure=decision.detail if isinstance(decision, rules.Fail) else None,
            policy_gate=decision.reason if isinstance(decision, rules.Gate) else None,
            patch_sha256=attempt.patch_sha256,
            is_cancelled=cancelled.is_set(),
            overspent=overspent,
            overspent_gate=overspent_gate,
            checks_reaction=rules.strictest([each.validations for each in policies], default=Reaction.FAIL),
            questions_reaction=rules.strictest([each.questions for each in policies]),
        ),
    )
    fresh_because = _thread_lost(shop, lease, reached)
    if fresh_because is not None:
        reached = verdict.Verdict(event=states.StepEvent.RETRY, failure=reached.failure, retry_delay_s=0)
    on_record = shop.database.read(lambda conn: artifact_selectors.artifacts_of_attempt(conn, attempt.attempt_id))
    versions = {"ropeway": version.__version__, "git": (await shop.git_probe.availability()).version or ""}
    signed = await asyncio.to_thread(_evidence_sign, shop, lease, on_record, finished, versions)

    def conclude(tx: Transaction) -> None:
        if fresh_because is not None:
            conversations.thread_forget(tx, step_id=lease.step.step_id, because=fresh_because)
        _conclude_apply(tx, shop, lease, finished, reached, signed)

    await shop.database.write("step_conclude", conclude)
    logger.info(
        "step concluded",
        extra={"event": f"step.{reached.event}", "step_id": lease.step.step_id, "call_id": lease.step.call_id},
    )
    return still_runs is None


async def worktree_clear(
    shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree, *, recorded_tree: str
) -> None:
    """Take the worktree away; whatever a check left in it is kept beside the attempt's own ref. Ignored files wait for
    the next turn of a conversation."""
    await provision.ignored_put_aside(shop, lease, place)
    await worktree_changes.worktree_remove(
        place, recorded_tree=recorded_tree, leftover_ref=f"{lease.ref}-leftover", removed_at=datetime.now(UTC)
    )
    await scratch_remove(shop.scratch_path(lease.attempt.attempt_id))


async def scratch_remove(scratch: Path) -> None:
    """Take the attempt's own files away: everything in them that counts is an artifact by now."""
    await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)


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
    was_ended = status is None or status.signal is not None
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


def configuration_failure(names: tuple[str, ...]) -> specs.Failure:
    """What a person has to look at: settings of the repository that may make git run something, by name."""
    detail = (
        "the repository's git configuration was changed while this step ran: "
        f"{configuration.names_listed(names)}. Put it right, then resolve the step; nothing else starts in this "
        "repository before."
    )
    return specs.Failure(kind=states.FailureKind.POLICY, detail=detail)


async def _report(shop: workshop.Workshop, lease: workshop.Lease, end: workshop.End) -> executor_port.ExecutorReport:
    """What the executor says of its own run; what the daemon did to it outranks that."""
    if end.status is None:
        return executor_port.ExecutorReport(
            outcome=executor_port.Outcome.FAILED,
            failure_kind=states.FailureKind.INTERRUPTED,
            detail="ended by the daemon",
            usage=await usage_left(shop, lease),
        )
    scratch = shop.scratch_path(lease.attempt.attempt_id)
    return await asyncio.to_thread(
        interpretation.attempt_interpret,
        shop.executors.executor_get(lease.step.executor),
        workshop.executor_task(shop, lease),
        end.status,
        stdout=scratch / outputs.STDOUT,
        stderr=scratch / outputs.STDERR,
        home=shop.operator_home,
        directories={"repository": lease.folder, "daemon": shop.home},
        secrets=workshop.secrets_known(shop, lease),
    )


def _failure(report: executor_port.ExecutorReport, captured: Captured, end: workshop.End) -> specs.Failure | None:
    if end.failure is not None:
        return end.failure
    if report.outcome is executor_port.Outcome.FAILED:
        return specs.Failure(
            kind=report.failure_kind, cause=report.cause, detail=report.detail, retryable=report.is_retryable
        )
    return captured.failure


def _still_runs(attempt: Attempt, checked: checks.Checked) -> specs.Failure | None:
    """What says that something of the attempt may still run: a person has to look, cancelled or not."""
    if checked.survivors:
        return unconfirmed.failure(checked.survivors, of="a check", kind=states.FailureKind.VALIDATION)
    return attempt.failure if unconfirmed.is_said(attempt.failure) else None


async def _capture(lease: workshop.Lease, place: worktree.Worktree) -> Captured:
    try:
        taken = await worktree_changes.changes_capture(
            place, ref=lease.ref, message=f"{lease.step.title}\n", captured_at=lease.attempt.leased_at
        )
    except worktree_changes.ChangesTooLarge as error:
        failure = specs.Failure(kind=states.FailureKind.ARTIFACT, detail=str(error))
        return Captured(changes=None, head_commit=error.head_commit, failure=failure)
    return Captured(changes=taken, head_commit=taken.head_commit, failure=_submodules_failure(taken))


def _ignored_keep(shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree, captured: Captured) -> None:
    """Keep what the patch passes over, on this machine only and as far as it fits."""
    if captured.changes is None or not captured.changes.ignored:
        return
    destination = shop.ignored_path(lease.attempt.attempt_id)
    destination.parent.mkdir(mode=0o700, exist_ok=True)
    ignored.ignored_archive(place, captured.changes.ignored, destination=destination, bytes_max=_IGNORED_BYTES_MAX)


def _submodules_failure(taken: worktree_changes.Changes) -> specs.Failure | None:
    if not taken.unrecorded:
        return None
    listed = ", ".join(taken.unrecorded[:20])
    detail = f"submodules changed, which a patch of this repository can't hold; the worktree is kept: {listed}"
    return specs.Failure(kind=states.FailureKind.ARTIFACT, detail=detail)


def _parts_store(shop: workshop.Workshop, lease: workshop.Lease, captured: Captured) -> list[parts.Part]:
    """Make the bytes of patch and output durable. An empty output is no evidence; an empty patch is."""
    stored: list[parts.Part] = []
    if captured.changes is not None:
        blob = shop.blobs.blob_put_bytes(captured.changes.patch)
        stored.append(parts.Part(kind=ArtifactKind.PATCH, name="changes.patch", media_type="text/x-diff", blob=blob))
    for kind, name in ((ArtifactKind.STDOUT, outputs.STDOUT), (ArtifactKind.STDERR, outputs.STDERR)):
        cleaned = shop.outputs.finish(lease.attempt.attempt_id, name)
        if cleaned is not None:
            stored.append(parts.part_of_clean(shop, cleaned, kind=kind, name=f"{name}.log"))
    return stored


def _collect_apply(
    tx: Transaction,
    lease: workshop.Lease,
    place: worktree.Worktree,
    report: executor_port.ExecutorReport,
    captured: Captured,
    end: workshop.End,
    stored: list[parts.Part],
) -> workshop.Lease:
    recorded = [parts.part_record(tx, lease, part) for part in stored]
    patch = next((artifact for artifact in recorded if artifact.kind is ArtifactKind.PATCH), None)
    files = captured.changes.files if captured.changes is not None else ()
    attempt = attempts.attempt_recorded(
        tx,
        attempt_id=lease.attempt.attempt_id,
        epoch=lease.attempt.epoch,
        base_commit=place.base_commit,
        head_commit=captured.head_commit,
        ref=lease.ref,
        patch_artifact_id=None if patch is None else patch.artifact_id,
        patch_sha256=None if patch is None else patch.sha256,
        changes=[_changed_file(file) for file in files],
        changes_total=len(files),
        summary=report.summary,
        failure=_failure(report, captured, end),
        usage=usage_told(report.usage, status=end.status),
        thread_id=report.thread_id,
        warnings=[*report.warnings, *_warnings(captured)],
        question=_QUESTION_SEPARATOR.join(report.questions) or None,
    )
    step = steps.step_advance(
        tx, step_id=lease.step.step_id, event=states.StepEvent.COLLECTED, patch_sha256=attempt.patch_sha256
    )
    return lease.with_records(step=step, attempt=attempt)


def _changed_file(file: diffs.ChangedFile) -> specs.ChangedFile:
    return specs.ChangedFile(
        path=file.path, old_path=file.old_path, status=file.status, additions=file.additions, deletions=file.deletions
    )


def _warnings(captured: Captured) -> list[str]:
    if captured.changes is None:
        return []
    warnings = []
    if captured.changes.ignored:
        listed = ", ".join(file.path for file in captured.changes.ignored[:20])
        count = len(captured.changes.ignored)
        warnings.append(f"{count} ignored files were changed and are not in the patch: {listed}")
    return warnings


async def _changes_all(lease: workshop.Lease, place: worktree.Worktree) -> Sequence[specs.ChangedFile]:
    """Every changed path. The record lists the first ones only, and a fence must see them all."""
    attempt = lease.attempt
    if attempt.changes_total == len(attempt.changes) or attempt.base_commit is None or attempt.head_commit is None:
        return attempt.changes
    difference = await diffs.diff_read(place.place, base=attempt.base_commit, tree=attempt.head_commit)
    return [_changed_file(file) for file in difference.files]


async def _links_new(lease: workshop.Lease, place: worktree.Worktree, patch: bytes) -> list[links.Link]:
    attempt = lease.attempt
    if not diffs.has_links(patch) or attempt.base_commit is None or attempt.head_commit is None:
        return []
    found = await diffs.links_read(place.place, base=attempt.base_commit, tree=attempt.head_commit)
    return [links.Link(path=path, target=target) for path, target in found]


def _thread_lost(shop: workshop.Workshop, lease: workshop.Lease, reached: verdict.Verdict) -> str | None:
    """Why the turn is tried again with a fresh thread: its executor failed before it did anything in the old one."""
    failure = reached.failure
    if reached.event is not states.StepEvent.FAILED or failure is None or failure.cause not in _THREAD_MAY_BE_LOST:
        return None
    turn = shop.database.read(lambda conn: turns.turn_of_step(conn, lease.step.step_id))
    if turn is None or turn.continues_attempt_id is None or failure.kind is not states.FailureKind.EXECUTOR:
        return None
    if threads.taken_up(lease.attempt, changed=lease.attempt.changes_total > 0):
        return None
    return f"the thread could not be taken up again: {failure.detail}"[:500]


def _patch_read(shop: workshop.Workshop, lease: workshop.Lease) -> bytes:
    digest = lease.attempt.patch_sha256
    return b"" if digest is None else shop.blobs.blob_read(digest)


def _conclude_apply(
    tx: Transaction,
    shop: workshop.Workshop,
    lease: workshop.Lease,
    finished: Sequence[checks.FinishedCheck],
    reached: verdict.Verdict,
    signed: Signed,
) -> None:
    attempts.epoch_require(tx, attempt_id=lease.attempt.attempt_id, epoch=lease.attempt.epoch)
    for check in finished:
        checks.check_record(tx, lease, check)
    evidence.evidence_record(
        tx,
        attempt_id=lease.attempt.attempt_id,
        manifest=parts.part_record(tx, lease, signed.manifest),
        signature=signed.signature,
        public_key=shop.public_key,
    )
    digest = signed.manifest.sha256
    attempt = lease.attempt
    if reached.gate is not None:
        steps.step_gate(
            tx,
            step_id=lease.step.step_id,
            attempt_id=attempt.attempt_id,
            kind=reached.gate.kind,
            reason=reached.gate.reason,
            digest=reached.gate.digest,
            question=reached.gate.question,
            expires_at=tx.now + timedelta(seconds=lease.task.gates.expires_s),
            summary=attempt.summary,
            warnings=attempt.warnings,
            evidence_digest=digest,
        )
    else:
        if reached.falls_back:
            steps.step_fall_back(tx, step_id=lease.step.step_id, task=lease.task)
        steps.step_advance(
            tx,
            step_id=lease.step.step_id,
            event=reached.event,
            failure=reached.failure,
            summary=attempt.summary,
            warnings=attempt.warnings,
            evidence_digest=digest,
            retry_at=None if reached.retry_delay_s is None else tx.now + timedelta(seconds=reached.retry_delay_s),
        )
    runs.run_refresh(tx, run_id=lease.step.run_id)


def _evidence_sign(
    shop: workshop.Workshop,
    lease: workshop.Lease,
    on_record: Sequence[Artifact],
    finished: Sequence[checks.FinishedCheck],
    versions: Mapping[str, str],
) -> Signed:
    """Store and sign the manifest of all that is on record and all that will be with it. Before the transaction, since
    making bytes durable takes long and everybody else's writes would wait for it."""
    attempt = lease.attempt
    content = manifest.manifest_build(
        attempt=attempt,
        task_digest=lease.step.task_digest,
        base_commit=attempt.base_commit,
        head_commit=attempt.head_commit,
        ref=attempt.ref,
        patch_sha256=attempt.patch_sha256,
        changes_total=attempt.changes_total,
        artifacts=[*on_record, *(part for check in finished for part in check.parts)],
        validations=finished,
        versions=versions,
    )
    blob = shop.blobs.blob_put_bytes(content)
    return Signed(
        manifest=parts.Part(
            kind=ArtifactKind.MANIFEST, name="evidence.json", media_type=manifest.MEDIA_TYPE, blob=blob
        ),
        signature=signing.evidence_sign(content, sign=shop.sign),
    )
