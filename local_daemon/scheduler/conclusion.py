"""What an attempt came to: its checks run, its changes judged, its evidence signed, its step moved on.

What was collected of it comes on record first where checks are run, since those may take long; otherwise together with
the verdict, in one transaction. A later daemon may have to do either, so what they need comes from the record and the
worktree. Called by `execution` and `recovery`. Tests: tests/integration/daemon/test_execution.py.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from local_daemon.artifacts import selectors as artifact_selectors
from local_daemon.artifacts.records import ArtifactKind
from local_daemon.attempts import services as attempts
from local_daemon.attempts.records import Attempt
from local_daemon.conversations import selectors as turns
from local_daemon.conversations import services as conversations
from local_daemon.evidence import manifest, signing
from local_daemon.evidence import services as evidence
from local_daemon.policies import links, rules
from local_daemon.protocol import errors, specs, states, version, wire
from local_daemon.protocol.policies import Policy, Reaction
from local_daemon.runs import services as runs
from local_daemon.scheduler import (
    checks,
    collection,
    kept_references,
    parts,
    provision,
    spending,
    threads,
    unconfirmed,
    verdict,
    workshop,
)
from local_daemon.steps import selectors as step_selectors
from local_daemon.steps import services as steps
from local_daemon.storage import event_log
from local_daemon.storage.database import Connection
from local_daemon.storage.transaction import Transaction
from local_daemon.worktrees import changes as worktree_changes
from local_daemon.worktrees import configuration, deletion, diffs, git, worktree

logger = logging.getLogger(__name__)

_THREAD_MAY_BE_LOST = frozenset({None, states.FailureCause.CRASHED, states.FailureCause.UNCLEAR})
"""With another cause a fresh thread would end the same way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the verdict is reached from and the evidence made of, besides the attempt itself. `changes` are all of them,
    where the record lists the first ones only: a fence must see them all."""

    changes: Sequence[specs.ChangedFile]
    patch: bytes
    pieces: Sequence[manifest.Piece]
    checked: checks.Checked = field(default_factory=checks.Checked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What was looked at and written before the transaction, since it takes long: everybody else's writes would wait
    for it. The manifest of an attempt is stored."""

    decision: rules.Decision
    configuration_names: tuple[str, ...]
    policies: Sequence[Policy]
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
    left = await collection.attempt_collect(shop, lease, place, end)
    record = partial(collection.collection_record, lease=lease, left=left)

    async def record_alone() -> workshop.Lease:
        return await shop.database.write("attempt_collect", record)

    collected = attempts.attempt_collected(lease.attempt, left.collected)
    if lease.task.validations and _is_to_be_checked(collected):
        lease = await record_alone()
        is_over = await step_conclude(shop, lease, place, cancelled=cancelled)
    else:
        lease = lease.with_records(step=lease.step, attempt=collected)
        found = Found(changes=left.collected.changes, patch=left.patch, pieces=left.parts)
        try:
            is_over = await _conclude(shop, lease, place, found, begin=record, cancelled=cancelled)
        except errors.StorageFull:
            raise  # It is collected again, once there is room.
        except Exception:
            # Nobody can judge it, and the attempt is lost; what it changed and used is not.
            await record_alone()
            raise
    # Where somebody may still work, what is done there has to stay.
    if left.recorded_tree is not None and is_over:
        await worktree_clear(shop, lease, place, recorded_tree=left.recorded_tree)


async def step_conclude(
    shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree, *, cancelled: asyncio.Event
) -> bool:
    """Run the checks of an attempt that is on record, reach the verdict, sign the evidence, and move the step on.
    Answers whether nothing of the attempt may still run."""
    attempt = lease.attempt
    checked = checks.Checked()
    if _is_to_be_checked(attempt):
        checked = await checks.checks_run(shop, lease, place, cancelled=cancelled)
        with suppress(git.GitFailed):  # What a check took away for good is told by `ropeway verify`.
            await _references_renew(shop, lease, place)
    found = Found(
        changes=await _changes_all(lease, place),
        patch=await asyncio.to_thread(_patch_read, shop, lease),
        pieces=shop.database.read(lambda conn: artifact_selectors.artifacts_of_attempt(conn, attempt.attempt_id)),
        checked=checked,
    )
    begin = partial(attempts.epoch_require, attempt_id=attempt.attempt_id, epoch=attempt.epoch)
    return await _conclude(shop, lease, place, found, begin=begin, cancelled=cancelled)


async def _conclude(
    shop: workshop.Workshop,
    lease: workshop.Lease,
    place: worktree.Worktree,
    found: Found,
    *,
    begin: Callable[[Transaction], object],
    cancelled: asyncio.Event,
) -> bool:
    """Judge, sign, and put it on record after what `begin` writes. Answers whether nothing may still run."""
    names = await place.configuration_changed()
    new_links = await _links_new(lease, place, found.patch)
    policies = shop.database.read(lambda conn: step_selectors.step_policies(conn, lease.step.step_id))
    versions = {"ropeway": version.__version__, "git": (await shop.git_probe.availability()).version or ""}
    log = shop.database.read(lambda conn: event_log.log_head(conn, lease.step.repository_id))
    manifest_of = partial(_manifest, lease, found, versions, log)
    examined = await asyncio.to_thread(_examine, shop, lease, found, names, new_links, policies, manifest_of)
    still_runs = _still_runs(lease.attempt, found.checked)

    def conclude(tx: Transaction) -> verdict.Verdict:
        begin(tx)
        accounts = spending.accounts_open(
            tx.connection, step_id=lease.step.step_id, run_id=lease.step.run_id, now=tx.now
        )
        reached = verdict.verdict_reach(
            lease.task,
            _findings(lease.attempt, found, examined, accounts, still_runs, is_cancelled=cancelled.is_set()),
        )
        fresh_because = _thread_lost(tx.connection, lease, reached)
        if fresh_because is not None:
            reached = verdict.Verdict(event=states.StepEvent.RETRY, failure=reached.failure, retry_delay_s=0)
            conversations.thread_forget(tx, step_id=lease.step.step_id, because=fresh_because)
        _conclude_apply(tx, shop, lease, found.checked.finished, reached, examined)
        return reached

    reached = await shop.database.write("step_conclude", conclude)
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
        place, recorded_tree=recorded_tree, leftover_ref=lease.leftover_ref, removed_at=datetime.now(UTC)
    )
    await scratch_remove(shop.scratch_path(lease.attempt.attempt_id))


async def scratch_remove(scratch: Path) -> None:
    """Take the attempt's own files away: everything in them that counts is an artifact by now."""
    try:
        await asyncio.to_thread(deletion.tree_delete, scratch)
    except OSError:
        logger.warning(
            "files of an attempt stay", exc_info=True, extra={"event": "scratch.kept", "attempt_id": scratch.name}
        )


def verdict_apply(
    tx: Transaction,
    lease: workshop.Lease,
    reached: verdict.Verdict,
    *,
    summary: str | None = None,
    warnings: Sequence[str] | None = None,
    evidence_digest: str | None = None,
) -> None:
    """Move the step, and with it its run, as the verdict on its attempt says; what is None stays as it is."""
    if reached.gate is not None:
        steps.step_gate(
            tx,
            step_id=lease.step.step_id,
            attempt_id=lease.attempt.attempt_id,
            kind=reached.gate.kind,
            reason=reached.gate.reason,
            digest=reached.gate.digest,
            question=reached.gate.question,
            expires_at=tx.now + timedelta(seconds=lease.task.gates.expires_s),
            summary=summary,
            warnings=warnings,
            evidence_digest=evidence_digest,
        )
    else:
        if reached.falls_back:
            steps.step_fall_back(tx, step_id=lease.step.step_id, task=lease.task)
        steps.step_advance(
            tx,
            step_id=lease.step.step_id,
            event=reached.event,
            failure=reached.failure,
            summary=summary,
            warnings=warnings,
            evidence_digest=evidence_digest,
            retry_at=None if reached.retry_delay_s is None else tx.now + timedelta(seconds=reached.retry_delay_s),
        )
    runs.run_refresh(tx, run_id=lease.step.run_id)


def configuration_failure(names: tuple[str, ...]) -> specs.Failure:
    """What a person has to look at: settings of the repository that may make git run something, by name."""
    detail = (
        "the repository's git configuration was changed while this step ran: "
        f"{configuration.names_listed(names)}. Put it right, then resolve the step; nothing else starts in this "
        "repository before."
    )
    return specs.Failure(kind=states.FailureKind.POLICY, detail=detail)


def _is_to_be_checked(attempt: Attempt) -> bool:
    return attempt.failure is None and attempt.question is None


def _examine(
    shop: workshop.Workshop,
    lease: workshop.Lease,
    found: Found,
    configuration_names: tuple[str, ...],
    new_links: Sequence[links.Link],
    policies: Sequence[Policy],
    manifest_of: Callable[[], bytes],
) -> Examined:
    """Judge the changes, and store and sign the manifest of all that is on record and all that will be with it. Blocks:
    a patch may be long, and a disk slow."""
    decision = rules.changes_judge(
        task=lease.task,
        changes=found.changes,
        patch=found.patch,
        new_links=new_links,
        policies=policies[1:],
        known_secrets=workshop.secrets_known(shop, lease),
    )
    content = manifest_of()
    blob = shop.blobs.blob_put_bytes(content)
    return Examined(
        decision=decision,
        configuration_names=configuration_names,
        policies=policies,
        manifest=parts.Part(
            kind=ArtifactKind.MANIFEST, name="evidence.json", media_type=manifest.MEDIA_TYPE, blob=blob
        ),
        signature=signing.evidence_sign(content, sign=shop.sign),
    )


def _manifest(lease: workshop.Lease, found: Found, versions: Mapping[str, str], log: event_log.LogHead) -> bytes:
    finished = found.checked.finished
    return manifest.manifest_build(
        attempt=lease.attempt,
        task_digest=lease.step.task_digest,
        artifacts=[*found.pieces, *(part for check in finished for part in check.parts)],
        validations=finished,
        versions=versions,
        log=log,
    )


def _findings(
    attempt: Attempt,
    found: Found,
    examined: Examined,
    accounts: tuple[spending.Account, ...],
    still_runs: specs.Failure | None,
    *,
    is_cancelled: bool,
) -> verdict.Findings:
    overspent, overspent_gate = spending.overspent(accounts)
    names, decision, policies = examined.configuration_names, examined.decision, examined.policies
    return verdict.Findings(
        attempt_number=attempt.number,
        attention=configuration_failure(names) if names else still_runs,
        failure=attempt.failure,
        question=attempt.question,
        question_digest=None if attempt.question is None else wire.sha256_hex(attempt.question.encode()),
        checks=[
            verdict.CheckResult(name=check.name, verdict=check.verdict, detail=check.no_answer)
            for check in found.checked.finished
        ],
        policy_failure=decision.detail if isinstance(decision, rules.Fail) else None,
        policy_gate=decision.reason if isinstance(decision, rules.Gate) else None,
        patch_sha256=attempt.patch_sha256,
        is_cancelled=is_cancelled,
        overspent=overspent,
        overspent_gate=overspent_gate,
        checks_reaction=rules.strictest([each.validations for each in policies], default=Reaction.FAIL),
        questions_reaction=rules.strictest([each.questions for each in policies]),
    )


def _still_runs(attempt: Attempt, checked: checks.Checked) -> specs.Failure | None:
    """What says that something of the attempt may still run: a person has to look, cancelled or not."""
    if checked.survivors:
        return unconfirmed.failure(checked.survivors, of="a check", kind=states.FailureKind.VALIDATION)
    return attempt.failure if unconfirmed.is_said(attempt.failure) else None


async def _references_renew(shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree) -> None:
    """Write references again that a check took away: of this attempt, and where that was gone, of all results."""
    attempt = lease.attempt
    if not lease.task.validations or attempt.ref is None or attempt.head_commit is None:
        return
    if await worktree_changes.refs_renew(place, {attempt.ref: attempt.head_commit}):
        kept = shop.database.read(lambda conn: kept_references.references_kept(conn, attempt.repository_id))
        await worktree_changes.refs_renew(place, kept)


async def _changes_all(lease: workshop.Lease, place: worktree.Worktree) -> Sequence[specs.ChangedFile]:
    """Every changed path, also those that the record does not list."""
    attempt = lease.attempt
    if attempt.changes_total == len(attempt.changes) or attempt.base_commit is None or attempt.head_commit is None:
        return attempt.changes
    difference = await diffs.diff_read(place.place, base=attempt.base_commit, tree=attempt.head_commit)
    return [collection.changed_file(file) for file in difference.files]


async def _links_new(lease: workshop.Lease, place: worktree.Worktree, patch: bytes) -> list[links.Link]:
    attempt = lease.attempt
    if not diffs.has_links(patch) or attempt.base_commit is None or attempt.head_commit is None:
        return []
    found = await diffs.links_read(place.place, base=attempt.base_commit, tree=attempt.head_commit)
    return [links.Link(path=path, target=target) for path, target in found]


def _thread_lost(conn: Connection, lease: workshop.Lease, reached: verdict.Verdict) -> str | None:
    """Why the turn is tried again with a fresh thread: its executor failed before it did anything in the old one."""
    failure = reached.failure
    if reached.event is not states.StepEvent.FAILED or failure is None or failure.cause not in _THREAD_MAY_BE_LOST:
        return None
    turn = turns.turn_of_step(conn, lease.step.step_id)
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
    examined: Examined,
) -> None:
    for check in finished:
        checks.check_record(tx, lease, check)
    evidence.evidence_record(
        tx,
        attempt_id=lease.attempt.attempt_id,
        manifest=parts.part_record(tx, lease, examined.manifest),
        signature=examined.signature,
        public_key=shop.public_key,
    )
    verdict_apply(
        tx,
        lease,
        reached,
        summary=lease.attempt.summary,
        warnings=[*lease.attempt.warnings, *(each for check in finished for each in check.warnings)],
        evidence_digest=examined.manifest.sha256,
    )
