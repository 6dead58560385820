"""Writes of attempts: lease, start, exit, record, abandon. Each is one change and its event, in one transaction.

Each names the epoch in which its caller holds the attempt, and is refused in any other. What it means for the step is
the caller's to apply in the same transaction. Called by the scheduler and recovery.
Tests: tests/unit/daemon/attempts/test_services.py.
"""

from collections.abc import Sequence
from dataclasses import replace

from local_daemon.attempts import lifecycle, selectors, store
from local_daemon.attempts.records import Attempt, Collected
from local_daemon.protocol import errors, events, ids, specs
from local_daemon.protocol.states import AttemptEvent, AttemptState
from local_daemon.storage import event_log, texts
from local_daemon.storage.transaction import Transaction

CHANGES_KEPT = 1000
"""Changed files listed with the attempt; the patch itself names all of them."""


def epoch_begin(tx: Transaction, *, at_work: Sequence[ids.StepId]) -> int:
    """Begin another life of the daemon. The attempts of the steps that are `at_work` are its own from now on: what an
    earlier life, should it still be there, writes of them is refused."""
    epoch = store.epoch_next(tx)
    store.epoch_take_over(tx, at_work, epoch=epoch)
    return epoch


def epoch_require(tx: Transaction, *, attempt_id: ids.AttemptId, epoch: int) -> None:
    """Refuse what an earlier life of the daemon still wants to write of the attempt. Raises InvalidTransition."""
    if selectors.attempt_get(tx.connection, attempt_id).epoch != epoch:
        raise errors.InvalidTransition("The attempt belongs to a later life of the daemon.", attempt_id=attempt_id)


def attempt_lease(
    tx: Transaction,
    *,
    step_id: ids.StepId,
    run_id: ids.RunId,
    repository_id: ids.RepositoryId,
    executor: str,
    epoch: int,
) -> Attempt:
    """Take a step for its next attempt. The caller advances the step by LEASED in the same transaction."""
    before = selectors.attempt_newest(tx.connection, step_id)
    attempt = Attempt(
        attempt_id=ids.AttemptId(ids.new_id(ids.IdPrefix.ATTEMPT)),
        step_id=step_id,
        run_id=run_id,
        repository_id=repository_id,
        number=1 if before is None else before.number + 1,
        state=AttemptState.LEASED,
        executor=executor,
        epoch=epoch,
        leased_at=tx.now,
    )
    store.attempt_insert(tx, attempt)
    _tell(tx, attempt)
    return attempt


def attempt_started(
    tx: Transaction,
    *,
    attempt_id: ids.AttemptId,
    epoch: int,
    pid: int | None,
    process_start: str | None,
    boot_id: str | None,
    base_commit: str | None,
    executor_version: str | None = None,
) -> Attempt:
    """Record the process behind the latch, before the latch is released."""
    attempt = _held(tx, attempt_id, epoch)
    return _advance(
        tx,
        attempt,
        AttemptEvent.STARTED,
        replace(
            attempt,
            pid=pid,
            process_start=process_start,
            boot_id=boot_id,
            base_commit=base_commit,
            executor_version=executor_version,
            started_at=tx.now,
        ),
    )


def attempt_exited(
    tx: Transaction,
    *,
    attempt_id: ids.AttemptId,
    epoch: int,
    exit_code: int | None,
    signal: int | None,
    failure: specs.Failure | None = None,
    uncommitted: specs.Uncommitted | None = None,
    executor_version: str | None = None,
) -> Attempt:
    """Record how the process ended, what it had worked beside, and its version if that is known by now; `failure` where
    the daemon ended it or lost it, so that a later life of the daemon does not take that end for the executor's own."""
    attempt = _held(tx, attempt_id, epoch)
    ended = replace(
        attempt,
        uncommitted=uncommitted,
        executor_version=executor_version or attempt.executor_version,
        exit_code=exit_code,
        signal=signal,
        failure=texts.failure_cut(failure),
        exited_at=tx.now,
    )
    return _advance(tx, attempt, AttemptEvent.EXITED, ended)


def attempt_recorded(tx: Transaction, *, attempt_id: ids.AttemptId, epoch: int, collected: Collected) -> Attempt:
    """Record what came of it: its evidence is complete."""
    attempt = _held(tx, attempt_id, epoch)
    changed = replace(attempt_collected(attempt, collected), ended_at=tx.now)
    return _advance(tx, attempt, AttemptEvent.RECORDED, changed)


def attempt_collected(attempt: Attempt, collected: Collected) -> Attempt:
    """The attempt as it is recorded with what came of it, but for its state and its end: evidence is made of it before
    it is on record. Pure. Texts are cut, and of very many changed files the first are listed."""
    return replace(
        attempt,
        base_commit=collected.base_commit,
        head_commit=collected.head_commit,
        ref=collected.ref,
        patch_artifact_id=collected.patch_artifact_id,
        patch_sha256=collected.patch_sha256,
        changes=tuple(collected.changes[:CHANGES_KEPT]),
        changes_total=len(collected.changes),
        summary=texts.text_cut(collected.summary),
        failure=texts.failure_cut(collected.failure),
        usage=collected.usage,
        thread_id=collected.thread_id,
        warnings=texts.warnings_cut(collected.warnings),
        question=None if collected.question is None else texts.text_cut(collected.question),
    )


def attempt_abandoned(
    tx: Transaction,
    *,
    attempt_id: ids.AttemptId,
    epoch: int,
    failure: specs.Failure | None,
    usage: specs.Usage | None = None,
) -> Attempt:
    """Give the attempt up, from any unfinished state; `usage` is what it is known to have used."""
    attempt = _held(tx, attempt_id, epoch)
    abandoned = replace(attempt, failure=texts.failure_cut(failure), usage=usage or attempt.usage, ended_at=tx.now)
    return _advance(tx, attempt, AttemptEvent.ABANDONED, abandoned)


def attempt_kept(tx: Transaction, *, attempt_id: ids.AttemptId, ref: str) -> Attempt:
    """Note where what a given-up attempt had changed is kept."""
    attempt = replace(selectors.attempt_get(tx.connection, attempt_id), ref=ref)
    store.attempt_update(tx, attempt, expected=AttemptState.ABANDONED)
    _tell(tx, attempt)
    return attempt


def _held(tx: Transaction, attempt_id: ids.AttemptId, epoch: int) -> Attempt:
    """The attempt, as the life of the daemon that holds it in `epoch` may change it."""
    return replace(selectors.attempt_get(tx.connection, attempt_id), epoch=epoch)


def _advance(tx: Transaction, attempt: Attempt, event: AttemptEvent, changed: Attempt) -> Attempt:
    advanced = replace(changed, state=lifecycle.next_state(attempt.state, event))
    store.attempt_update(tx, advanced, expected=attempt.state)
    _tell(tx, advanced)
    return advanced


def _tell(tx: Transaction, attempt: Attempt) -> None:
    event_log.event_append(
        tx,
        repository_id=attempt.repository_id,
        event_type=events.EventType.ATTEMPT_CHANGED,
        run_id=attempt.run_id,
        step_id=attempt.step_id,
        data={"attempt": selectors.attempt_view(attempt).model_dump(mode="json")},
    )
