"""Writes of runs: create, close, cancel, and what follows from their steps. One change and its event, one transaction.

Called by operation handlers and the scheduler; whoever changes a step calls `run_refresh` in the same transaction.
Tests: tests/unit/daemon/runs/test_services.py, tests/lifecycle/test_record_machine.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from local_daemon.protocol import errors, events, ids, specs
from local_daemon.protocol.policies import Budget, Policy
from local_daemon.protocol.states import RUN_TERMINAL, StepState
from local_daemon.runs import lifecycle, selectors, store
from local_daemon.runs.lifecycle import FailureRule
from local_daemon.runs.records import Run
from local_daemon.steps import selectors as step_selectors
from local_daemon.steps import services as steps
from local_daemon.steps.lifecycle import AT_WORK
from local_daemon.steps.records import Step
from local_daemon.storage import event_log
from local_daemon.storage.transaction import Transaction

_NO_BUDGET = Budget()
_UNSUCCESSFUL = frozenset({StepState.FAILED, StepState.CANCELLED})
_UNBEGUN = frozenset({StepState.QUEUED, StepState.WAITING})


def run_create(
    tx: Transaction,
    *,
    repository_id: ids.RepositoryId,
    objective: str,
    name: str | None,
    title: str | None,
    failure_rule: FailureRule = FailureRule.ON_CLOSE,
    budget: Budget = _NO_BUDGET,
) -> tuple[Run, bool]:
    """Open a run, and say whether this made it: with a name, a repeat returns the run that has it."""
    if name is not None:
        known = selectors.run_named(tx.connection, repository_id, name)
        if known is not None:
            return known, False
    run_id = ids.RunId(ids.new_id(ids.IdPrefix.RUN))
    store.run_insert(
        tx,
        run_id=run_id,
        repository_id=repository_id,
        name=name,
        title=title,
        objective=objective,
        failure_rule=failure_rule,
        budget=budget,
    )
    run = selectors.run_load(tx.connection, run_id)
    _tell(tx, run, events.EventType.RUN_CREATED, step_counts={})
    return run, True


def run_close(tx: Transaction, *, run_id: ids.RunId) -> Run:
    """Say that no further step comes; closing again changes nothing. Raises InvalidTransition for a cancelled run."""
    run = selectors.run_load(tx.connection, run_id)
    if run.is_closed:
        return run
    if run.is_cancel_requested or run.state in RUN_TERMINAL:
        raise errors.InvalidTransition(f"This run is {run.state} and cannot be closed.", state=str(run.state))
    store.run_update(tx, replace(run, is_closed=True, updated_at=tx.now), expected=run.state)
    return _rederive(tx, selectors.run_load(tx.connection, run_id), is_moved=True)


def run_step_submit(
    tx: Transaction,
    *,
    run_id: ids.RunId,
    task: specs.TaskSpec,
    name: str | None,
    policies: Sequence[Policy] = (),
) -> tuple[Step, bool]:
    """Queue a step of the run, and say whether this made it: with a name, a repeat returns the step that has it, even
    from a closed run. Raises InvalidTransition if the run takes no further step, IdempotencyConflict where the step of
    this name has another task."""
    run = selectors.run_load(tx.connection, run_id)
    known = step_selectors.step_repeated(tx.connection, run_id, name, task)
    if known is not None:
        return known, False
    lifecycle.require_accepts_steps(state=run.state, closed=run.is_closed, cancelled=run.is_cancel_requested)
    step, created = steps.step_submit(
        tx, run_id=run_id, repository_id=run.repository_id, task=task, name=name, policies=policies
    )
    run_refresh(tx, run_id=run_id)
    return step, created


def run_cancel_request(tx: Transaction, *, run_id: ids.RunId, reason: str) -> tuple[Run, tuple[Step, ...]]:
    """Ask the run and every step of it that still moves or waits to end; answers with the steps at work, which the
    scheduler has to end. Asking again is harmless. Raises InvalidTransition for a run that has ended otherwise."""
    run = selectors.run_load(tx.connection, run_id)
    if not run.is_cancel_requested:
        if run.state in RUN_TERMINAL:
            raise errors.InvalidTransition(f"This run is {run.state} already.", state=str(run.state))
        asked = replace(run, cancel_requested_at=tx.now, cancel_reason=reason, updated_at=tx.now)
        store.run_update(tx, asked, expected=run.state)
    ending = [
        steps.step_cancel_request(tx, step_id=step.step_id, reason=reason)
        for step in step_selectors.steps_cancellable(tx.connection, run_id)
    ]
    at_work = tuple(step for step in ending if step.state in AT_WORK)
    return run_refresh(tx, run_id=run_id), at_work


def run_refresh(tx: Transaction, *, run_id: ids.RunId) -> Run:
    """Bring the run up to date with its steps, and tell followers if its state or counts moved. A run that has ended
    stays as it is."""
    return _rederive(tx, selectors.run_load(tx.connection, run_id), is_moved=False)


def run_reopen(tx: Transaction, *, run_id: ids.RunId) -> Run:
    """Let a run go on that has ended, because a person retried one of its steps; refuses one cancelled as a whole."""
    run = selectors.run_load(tx.connection, run_id)
    lifecycle.require_accepts_retry(state=run.state, cancelled=run.is_cancel_requested)
    return _rederive(tx, run, is_moved=False, may_leave_end=True)


def _rederive(tx: Transaction, run: Run, *, is_moved: bool, may_leave_end: bool = False) -> Run:
    _unstartable_skip(tx, run)
    counts = step_selectors.step_counts(tx.connection, [run.run_id])[run.run_id]
    state = run.state
    if may_leave_end or state not in RUN_TERMINAL:
        state = lifecycle.derive(
            closed=run.is_closed,
            cancelled=run.is_cancel_requested,
            step_states=_states_present(tx, run, counts),
            failure_rule=run.failure_rule,
        )
    if not is_moved and state is run.state and counts == selectors.told_counts(tx.connection, run.run_id):
        return run
    refreshed = replace(run, state=state, updated_at=tx.now)
    store.run_update(tx, refreshed, expected=run.state)
    store.told_counts_keep(tx, run.run_id, counts)
    _tell(tx, refreshed, events.EventType.RUN_CHANGED, step_counts=counts)
    return refreshed


def _unstartable_skip(tx: Transaction, run: Run) -> None:
    """End the steps that can't begin any more: those that need one that did not succeed, and, where the run stops on a
    failure, every other that has not begun."""
    counts = step_selectors.step_counts(tx.connection, [run.run_id])[run.run_id]
    if not (counts.keys() & _UNSUCCESSFUL and counts.keys() & _UNBEGUN):
        return
    if run.failure_rule is FailureRule.AT_ONCE and not run.is_cancel_requested:
        failed = step_selectors.step_unsuccessful(tx.connection, run.run_id)
        if failed is not None:
            for step in step_selectors.steps_unbegun(tx.connection, run.run_id):
                steps.step_skip(tx, step_id=step.step_id, because_id=failed.step_id)
    while hopeless := dict(step_selectors.steps_hopeless(tx.connection, run.run_id)[:1]):
        for step, needed_id in hopeless.items():
            steps.step_skip(tx, step_id=step.step_id, because_id=needed_id)


def _states_present(tx: Transaction, run: Run, counts: Mapping[str, int]) -> list[StepState]:
    """The states of the run's steps. Queued steps that wait for others tell nothing: those others do."""
    queued = counts.get(StepState.QUEUED, 0)
    is_blocked = queued > 0 and step_selectors.blocked_count(tx.connection, run.run_id) == queued
    return [StepState(word) for word in counts if not (is_blocked and word == StepState.QUEUED)]


def _tell(tx: Transaction, run: Run, event_type: events.EventType, *, step_counts: Mapping[str, int]) -> None:
    event_log.event_append(
        tx,
        repository_id=run.repository_id,
        event_type=event_type,
        run_id=run.run_id,
        data={"run": selectors.run_view(run, step_counts=step_counts).model_dump(mode="json")},
    )
