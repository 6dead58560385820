"""What a run comes to, for every combination of what its steps can be."""

import itertools

import pytest

from local_daemon.protocol import errors
from local_daemon.protocol.states import RUN_TERMINAL, RunState, StepState
from local_daemon.runs import lifecycle
from local_daemon.runs.lifecycle import FailureRule

MOVING = {
    StepState.QUEUED,
    StepState.PREPARING,
    StepState.RUNNING,
    StepState.COLLECTING,
    StepState.VALIDATING,
    StepState.RETRY_WAIT,
}
SUBSETS = [
    frozenset(subset) for size in range(len(StepState) + 1) for subset in itertools.combinations(StepState, size)
]


def derive(*states: StepState, closed: bool = False, cancelled: bool = False) -> RunState:
    return lifecycle.derive(closed=closed, cancelled=cancelled, step_states=states, failure_rule=FailureRule.ON_CLOSE)


def test_a_run_runs_exactly_while_a_step_moves() -> None:
    for subset, closed, cancelled in itertools.product(SUBSETS, (True, False), (True, False)):
        assert (derive(*subset, closed=closed, cancelled=cancelled) is RunState.RUNNING) == bool(subset & MOVING)


def test_a_run_completes_exactly_when_it_is_closed_and_every_step_has_succeeded() -> None:
    for subset, closed, cancelled in itertools.product(SUBSETS, (True, False), (True, False)):
        is_complete = closed and not cancelled and subset <= {StepState.COMPLETED}
        assert (derive(*subset, closed=closed, cancelled=cancelled) is RunState.COMPLETED) == is_complete


def test_an_open_run_outlives_a_failed_step_so_that_its_planner_can_repair_it() -> None:
    assert derive(StepState.FAILED, StepState.COMPLETED) is RunState.OPEN


def test_a_closed_run_with_a_step_that_failed_has_failed() -> None:
    assert derive(StepState.FAILED, StepState.COMPLETED, closed=True) is RunState.FAILED
    assert derive(StepState.FAILED, StepState.CANCELLED, closed=True) is RunState.FAILED


def test_a_closed_run_of_which_steps_were_cancelled_and_none_failed_is_cancelled() -> None:
    assert derive(StepState.CANCELLED, closed=True) is RunState.CANCELLED
    assert derive(StepState.CANCELLED, StepState.COMPLETED, closed=True) is RunState.CANCELLED
    assert derive(StepState.CANCELLED) is RunState.OPEN


def test_a_run_waits_when_all_that_is_unfinished_waits() -> None:
    assert derive(StepState.WAITING, StepState.COMPLETED) is RunState.WAITING
    assert derive(StepState.NEEDS_ATTENTION, closed=True) is RunState.WAITING
    assert derive(StepState.WAITING, StepState.QUEUED) is RunState.RUNNING


def test_a_cancelled_run_is_cancelled_once_nothing_of_it_moves() -> None:
    assert derive(StepState.RUNNING, cancelled=True) is RunState.RUNNING
    assert derive(StepState.COMPLETED, StepState.NEEDS_ATTENTION, cancelled=True) is RunState.CANCELLED
    assert derive(cancelled=True) is RunState.CANCELLED


def test_a_run_that_fails_at_once_still_lets_its_last_step_end() -> None:
    for states, expected in [
        ({StepState.FAILED, StepState.RUNNING}, RunState.RUNNING),
        ({StepState.FAILED, StepState.WAITING}, RunState.FAILED),
        ({StepState.CANCELLED, StepState.COMPLETED}, RunState.CANCELLED),
        ({StepState.COMPLETED}, RunState.OPEN),
    ]:
        derived = lifecycle.derive(closed=False, cancelled=False, step_states=states, failure_rule=FailureRule.AT_ONCE)
        assert derived is expected


def test_a_run_never_ends_as_another_than_it_would_once_all_is_decided() -> None:
    """What ends stays, so it may not be ended while a step could still make it something else."""
    undecided = {StepState.WAITING, StepState.NEEDS_ATTENTION}
    for subset, closed, rule in itertools.product(SUBSETS, (True, False), FailureRule):
        now = lifecycle.derive(closed=closed, cancelled=False, step_states=subset, failure_rule=rule)
        if subset & undecided and now in RUN_TERMINAL:
            for end in (StepState.FAILED, StepState.COMPLETED, StepState.CANCELLED):
                decided = (subset - undecided) | {end}
                assert now is lifecycle.derive(closed=closed, cancelled=False, step_states=decided, failure_rule=rule)


@pytest.mark.parametrize(
    ("state", "closed", "cancelled", "word"),
    [
        (RunState.RUNNING, True, False, "closed"),
        (RunState.RUNNING, False, True, "cancelled"),
        (RunState.FAILED, False, False, "failed"),
    ],
)
def test_a_run_says_why_it_takes_no_further_step(state: RunState, closed: bool, cancelled: bool, word: str) -> None:
    with pytest.raises(errors.InvalidTransition, match=f"is {word} and takes no further step"):
        lifecycle.require_accepts_steps(state=state, closed=closed, cancelled=cancelled)


@pytest.mark.parametrize("state", [RunState.OPEN, RunState.RUNNING, RunState.WAITING])
def test_a_run_that_is_neither_closed_nor_cancelled_takes_steps(state: RunState) -> None:
    lifecycle.require_accepts_steps(state=state, closed=False, cancelled=False)
