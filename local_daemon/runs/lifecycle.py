"""What a run comes to, derived from its steps by one pure function.

A run has no events of its own besides being closed and cancelled. Once completed, failed or cancelled it stays so; only
a person's retry of a step reopens one that nobody cancelled as a whole. Applied by `runs.services`.
Tests: tests/lifecycle/test_run_lifecycle.py.
"""

from collections.abc import Collection
from enum import StrEnum

from local_daemon.protocol import errors
from local_daemon.protocol.states import RUN_TERMINAL, RunState, StepState


class FailureRule(StrEnum):
    """What a step that did not succeed means for its run."""

    ON_CLOSE = "on_close"  # nothing, until no further step can come: the planner may repair or retry
    AT_ONCE = "at_once"  # the run has failed as soon as nothing of it is at work; cancelled once nothing may still fail


_UNSUCCESSFUL = frozenset({StepState.FAILED, StepState.CANCELLED})
_UNDECIDED = frozenset({StepState.WAITING, StepState.NEEDS_ATTENTION})
_MOVING = frozenset(StepState) - _UNSUCCESSFUL - _UNDECIDED - {StepState.COMPLETED}


def derive(*, closed: bool, cancelled: bool, step_states: Collection[StepState], failure_rule: FailureRule) -> RunState:
    """The state of a run with these steps. Precedence: at work, then cancelled, then waiting, then the outcome: a step
    that failed outranks one that was cancelled. A cancelled run is still running while its last step ends."""
    present = frozenset(step_states)
    if present & _MOVING:
        return RunState.RUNNING
    if cancelled:
        return RunState.CANCELLED
    ends_at_once = failure_rule is FailureRule.AT_ONCE
    if ends_at_once and StepState.FAILED in present:
        return RunState.FAILED
    if present & _UNDECIDED:
        # A step that was only cancelled ends no run yet: one that waits may still fail, and a run's end stays.
        return RunState.WAITING
    if not closed and not (ends_at_once and present & _UNSUCCESSFUL):
        return RunState.OPEN
    # Steps that another one kept from beginning are cancelled too, but then that one failed, or was cancelled.
    if StepState.FAILED in present:
        return RunState.FAILED
    return RunState.CANCELLED if present & _UNSUCCESSFUL else RunState.COMPLETED


def require_accepts_steps(*, state: RunState, closed: bool, cancelled: bool) -> None:
    """Raises InvalidTransition if the run takes no further step."""
    if closed or cancelled or state in RUN_TERMINAL:
        word = "cancelled" if cancelled else "closed" if closed else str(state)
        raise errors.InvalidTransition(
            f"This run is {word} and takes no further step; create another run.", state=str(state)
        )


def require_accepts_retry(*, state: RunState, cancelled: bool) -> None:
    """Raises InvalidTransition if no step of the run may be tried again."""
    if cancelled:
        raise errors.InvalidTransition(
            "This run was cancelled, so none of its steps is tried again; create another run.", state=str(state)
        )
