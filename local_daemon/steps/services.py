"""Writes of steps: submit, advance, gate, cancel, retry, resolve. Each is one change and its event, in one transaction.

The lifecycle decides, the row is compared and set. What a step's change means for its run is applied by the caller
through `runs.services.run_refresh` in the same transaction. Called by operation handlers and the scheduler.
Tests: tests/unit/daemon/steps/test_services.py, tests/lifecycle/test_record_machine.py.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from local_daemon.attempts import selectors as attempts
from local_daemon.attempts import services as attempt_services
from local_daemon.gates import services as gates
from local_daemon.gates.records import Gate
from local_daemon.protocol import errors, events, ids, specs
from local_daemon.protocol.policies import Policy, Reaction
from local_daemon.protocol.states import STEP_TERMINAL, FailureKind, GateKind, GateState, StepEvent, StepState
from local_daemon.steps import lifecycle, selectors, store
from local_daemon.steps.records import Step
from local_daemon.storage import event_log, texts
from local_daemon.storage.transaction import Transaction

QUEUE = "queue"
"""The topic that is woken where it may have changed what can be leased, or what is due and when."""

_TITLE_CHARACTERS = 200


def step_submit(
    tx: Transaction,
    *,
    run_id: ids.RunId,
    repository_id: ids.RepositoryId,
    task: specs.TaskSpec,
    name: str | None,
    policies: Sequence[Policy] = (),
) -> tuple[Step, bool]:
    """Queue a step, and say whether this made it: with a name, a repeat returns the step that has it. It is judged by
    its task's own policy and by `policies`. Where one of them or the task asks for a gate before work, the step waits
    on it from the start. Raises IdempotencyConflict where the step of this name has another task."""
    known = selectors.step_repeated(tx.connection, run_id, name, task)
    if known is not None:
        return known, False
    step_id = ids.StepId(ids.new_id(ids.IdPrefix.STEP))
    store.step_insert(
        tx,
        step_id=step_id,
        run_id=run_id,
        repository_id=repository_id,
        name=name,
        title=step_title(task),
        task=task,
        policies=policies,
    )
    step = selectors.step_load(tx.connection, step_id)
    _tell(tx, step, events.EventType.STEP_CREATED)
    return _gated_before(tx, step, task=task, policies=policies), True


def step_advance(
    tx: Transaction,
    *,
    step_id: ids.StepId,
    event: StepEvent,
    failure: specs.Failure | None = None,
    summary: str | None = None,
    warnings: Sequence[str] | None = None,
    gate_id: ids.GateId | None = None,
    resume_to: StepState | None = None,
    patch_sha256: str | None = None,
    evidence_digest: str | None = None,
    retry_at: datetime | None = None,
) -> Step:
    """Move the step by one event; what is None stays as it is. FAILED needs `failure`, GATED `gate_id` and `resume_to`.
    A rule's RETRY is due at once without `retry_at`. Raises InvalidTransition."""
    step = selectors.step_load(tx.connection, step_id)
    given = replace(
        step,
        failure=step.failure if failure is None else texts.failure_cut(failure),
        summary=step.summary if summary is None else texts.text_cut(summary),
        warnings=step.warnings if warnings is None else texts.warnings_cut(warnings),
        patch_sha256=patch_sha256 or step.patch_sha256,
        evidence_digest=evidence_digest or step.evidence_digest,
        attempts=step.attempts + (event is StepEvent.LEASED),
    )
    state = lifecycle.next_state(step.state, event)
    moved = replace(
        given,
        state=state,
        failure=None if state is StepState.COMPLETED else given.failure,
        gate_id=gate_id if state is StepState.WAITING else None,
        resume_to=resume_to if state is StepState.WAITING else None,
        retry_at=(retry_at or tx.now) if state is StepState.RETRY_WAIT else None,
        ended_at=tx.now if state in STEP_TERMINAL else None,
        updated_at=tx.now,
    )
    return _save(tx, moved, expected=step.state)


def step_gate(
    tx: Transaction,
    *,
    step_id: ids.StepId,
    attempt_id: ids.AttemptId | None,
    kind: GateKind,
    reason: str,
    digest: str,
    expires_at: datetime,
    question: str | None = None,
    summary: str | None = None,
    warnings: Sequence[str] | None = None,
    evidence_digest: str | None = None,
) -> Step:
    """Open a gate on the step and let it wait there: approval after work completes it, anything else queues it. Where
    the step was asked to end meanwhile, it does, and the gate is withdrawn."""
    step = selectors.step_load(tx.connection, step_id)
    gate = gates.gate_open(
        tx,
        repository_id=step.repository_id,
        run_id=step.run_id,
        step_id=step_id,
        attempt_id=attempt_id,
        kind=kind,
        reason=reason,
        digest=digest,
        question=question,
        expires_at=expires_at,
    )
    waiting = step_advance(
        tx,
        step_id=step_id,
        event=StepEvent.GATED,
        gate_id=gate.gate_id,
        resume_to=StepState.COMPLETED if kind is GateKind.AFTER else StepState.QUEUED,
        summary=summary,
        warnings=warnings,
        evidence_digest=evidence_digest,
    )
    if step.is_cancel_requested:
        return step_cancel_request(tx, step_id=step_id, reason=step.cancel_reason)
    return waiting


def step_gate_closed(tx: Transaction, *, gate: Gate) -> Step:
    """Apply a gate that was just decided or expired to the step that waits on it: go on, or fail as rejected."""
    step = selectors.step_load(tx.connection, gate.step_id)
    if step.gate_id != gate.gate_id or step.resume_to is None:
        raise errors.InvalidTransition("The step does not wait on this gate.", step_id=gate.step_id)
    if gate.state in (GateState.REJECTED, GateState.EXPIRED):
        detail = gate.comment or f"the gate was {gate.state}"
        failure = specs.Failure(kind=FailureKind.REJECTED, detail=detail)
        return step_advance(tx, step_id=step.step_id, event=StepEvent.FAILED, failure=failure)
    prepared = replace(
        step,
        is_before_gate_passed=step.is_before_gate_passed or gate.kind is GateKind.BEFORE,
        answer=gate.answer if gate.kind is GateKind.QUESTION else step.answer,
    )
    store.step_update(tx, prepared, expected=StepState.WAITING)
    return step_advance(tx, step_id=step.step_id, event=lifecycle.APPROVAL_EVENTS[step.resume_to])


def step_cancel_request(tx: Transaction, *, step_id: ids.StepId, reason: str) -> Step:
    """Ask the step to end. It ends at once where nothing of it is at work; otherwise the request is recorded and the
    scheduler confirms the end. Asking again changes nothing. Raises InvalidTransition where it has ended otherwise."""
    step = selectors.step_load(tx.connection, step_id)
    if step.state is StepState.CANCELLED or (step.is_cancel_requested and step.state in lifecycle.AT_WORK):
        return step
    asked = replace(
        step,
        cancel_requested_at=tx.now,
        cancel_reason=reason,
        cancelled_by=tx.actor or step.cancelled_by,
        updated_at=tx.now,
    )
    if step.state in lifecycle.AT_WORK:
        return _save(tx, asked, expected=step.state)
    if step.state not in lifecycle.ENDED_AT_ONCE_BY_CANCEL:
        lifecycle.next_state(step.state, StepEvent.CANCELLED)
    if step.gate_id is not None:
        gates.gate_withdraw(
            tx, gate_id=step.gate_id, repository_id=step.repository_id, comment="the step was cancelled"
        )
    store.step_update(tx, asked, expected=step.state)
    return step_advance(tx, step_id=step_id, event=StepEvent.CANCELLED)


def step_retry(tx: Transaction, *, step_id: ids.StepId) -> Step:
    """A person asks for another attempt of a failed or cancelled step; one whose gate before work nobody approved waits
    on another. Raises InvalidTransition otherwise."""
    step = selectors.step_load(tx.connection, step_id)
    if step.state not in (StepState.FAILED, StepState.CANCELLED):
        raise errors.InvalidTransition(
            f"A step that is {step.state} is not retried; only a failed or cancelled one is.", state=str(step.state)
        )
    if step.skipped_for is not None:
        raise errors.InvalidTransition(
            f"This step was {step.cancel_reason}; retry that one, and this one follows.", step_id=step.skipped_for
        )
    retried = _queue_again(tx, replace(step, retried_by=tx.actor))
    for skipped in selectors.steps_skipped_for(tx.connection, step_id):
        _queue_again(tx, replace(skipped, retried_by=tx.actor))
    return retried


def step_resolve(
    tx: Transaction,
    *,
    step_id: ids.StepId,
    resolution: Literal["failed", "retry", "accept"],
    comment: str,
    kept_at: str | None = None,
) -> Step:
    """A person's word on a step that needs attention; `kept_at` is the ref of what its newest attempt had changed when
    it was given up. Raises InvalidTransition where it does not."""
    step = selectors.step_load(tx.connection, step_id)
    if step.state is not StepState.NEEDS_ATTENTION:
        raise errors.InvalidTransition(
            f"A step that is {step.state} needs no resolution.", state=str(step.state), step_id=step_id
        )
    step = replace(step, resolved_by=tx.actor)
    newest = attempts.attempt_newest(tx.connection, step_id)
    if kept_at is not None and newest is not None:
        attempt_services.attempt_kept(tx, attempt_id=newest.attempt_id, ref=kept_at)
    if resolution == "retry":
        return _queue_again(tx, step)
    store.step_update(tx, step, expected=step.state)
    kept = () if kept_at is None else (f"what it had changed is kept at {kept_at}",)
    warnings = (*step.warnings, *kept, f"resolved as {resolution} by a person" + (f": {comment}" if comment else ""))
    if resolution == "accept":
        return step_advance(tx, step_id=step_id, event=StepEvent.SUCCEEDED, warnings=warnings)
    failure = specs.Failure(kind=FailureKind.INTERRUPTED, detail=comment or "declared failed by a person")
    return step_advance(tx, step_id=step_id, event=StepEvent.FAILED, failure=failure, warnings=warnings)


def step_fall_back(tx: Transaction, *, step_id: ids.StepId, task: specs.TaskSpec) -> Step:
    """Let the next attempt be made by the next executor that the task's rule names; where it names no more, by the same
    as the last. The caller advances the step by RETRY in the same transaction."""
    step = selectors.step_load(tx.connection, step_id)
    position = 0 if step.fallback is None else step.fallback + 1
    if position < len(task.retry.fallback):
        step = replace(step, fallback=position, executor=task.retry.fallback[position].executor)
        store.step_update(tx, step, expected=step.state)
    return step


def step_needs_set(
    tx: Transaction, *, step_id: ids.StepId, needs: Sequence[ids.StepId], base_step_id: ids.StepId | None
) -> None:
    """Let a step that was just submitted wait until others have completed, and begin with the changes of one."""
    store.needs_insert(tx, step_id=step_id, needs=needs, base_step_id=base_step_id)


def step_skip(tx: Transaction, *, step_id: ids.StepId, because_id: str) -> Step:
    """End a step that never began, because another one did not succeed; when that one is retried, so is this."""
    step = selectors.step_load(tx.connection, step_id)
    because = selectors.step_load(tx.connection, because_id)
    if step.gate_id is not None:
        gates.gate_withdraw(
            tx, gate_id=step.gate_id, repository_id=step.repository_id, comment="the step can't begin any more"
        )
    reason = f"not started, because {because.name or because.step_id} is {because.state}"
    skipped = replace(step, skipped_for=because.step_id, cancel_reason=reason, updated_at=tx.now)
    store.step_update(tx, skipped, expected=step.state)
    return step_advance(tx, step_id=step_id, event=StepEvent.CANCELLED)


def step_title(task: specs.TaskSpec) -> str:
    """What the step is called: the task's title, or the first line of its goal, cut to what a list shows."""
    if task.title is not None:
        return task.title
    first_line = next((line.strip() for line in task.goal.splitlines() if line.strip()), task.goal)
    printable = "".join(character if character.isprintable() else " " for character in first_line).strip()
    return printable[:_TITLE_CHARACTERS] or "untitled"


def _gated_before(tx: Transaction, step: Step, *, task: specs.TaskSpec, policies: Sequence[Policy]) -> Step:
    """The queued step, or the same waiting on a gate where work on it needs an approval that it does not have."""
    reason = None if step.is_before_gate_passed else _gate_before(task, policies)
    if reason is None:
        return step
    return step_gate(
        tx,
        step_id=step.step_id,
        attempt_id=None,
        kind=GateKind.BEFORE,
        reason=reason,
        digest=step.task_digest,
        expires_at=tx.now + timedelta(seconds=task.gates.expires_s),
    )


def _gate_before(task: specs.TaskSpec, policies: Sequence[Policy]) -> str | None:
    if task.gates.before or task.policy.start is Reaction.GATE:
        return "The task asks for approval before work starts."
    if any(policy.start is Reaction.GATE for policy in policies):
        return "A policy asks for approval before work starts."
    return None


def _queue_again(tx: Transaction, step: Step) -> Step:
    """Another attempt on a person's word: what the last one came to stays with that attempt. A gate that nobody
    approved is asked again: who may have work tried again may not approve it by that."""
    state = lifecycle.next_state(step.state, StepEvent.RETRY)
    task = selectors.step_task(tx.connection, step.step_id)
    fresh = replace(
        step,
        state=state,
        failure=None,
        warnings=(),
        summary="",
        patch_sha256=None,
        evidence_digest=None,
        cancel_requested_at=None,
        cancel_reason="",
        cancelled_by=None,
        executor=step.executor if step.fallback is None else task.executor,
        fallback=None,
        skipped_for=None,
        ended_at=None,
        updated_at=tx.now,
    )
    queued = _save(tx, fresh, expected=step.state)
    return _gated_before(tx, queued, task=task, policies=selectors.step_policies(tx.connection, step.step_id))


def _save(tx: Transaction, step: Step, *, expected: StepState) -> Step:
    store.step_update(tx, step, expected=expected)
    _tell(tx, step, events.EventType.STEP_CHANGED)
    return step


def _tell(tx: Transaction, step: Step, event_type: events.EventType) -> None:
    if step.state not in lifecycle.AT_WORK:
        tx.touch(QUEUE)
    event_log.event_append(
        tx,
        repository_id=step.repository_id,
        event_type=event_type,
        run_id=step.run_id,
        step_id=step.step_id,
        data={"step": selectors.step_view(step).model_dump(mode="json")},
    )
