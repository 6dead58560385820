"""Every state of a step against every event, and what must hold of the table as a whole."""

import itertools

import pytest

from local_daemon.protocol import errors
from local_daemon.protocol.states import STEP_SETTLED, STEP_TERMINAL, StepEvent, StepState
from local_daemon.steps import lifecycle

EXPECTED = """
queued           leased▶preparing gated▶waiting failed▶failed cancelled▶cancelled
preparing        released▶running retry▶retry_wait failed▶failed cancelled▶cancelled lost▶attention
running          exited▶collecting failed▶failed cancelled▶cancelled lost▶attention
collecting       collected▶validating gated▶waiting retry▶retry_wait failed▶failed cancelled▶cancelled lost▶attention
validating       succeeded▶completed gated▶waiting retry▶retry_wait failed▶failed cancelled▶cancelled lost▶attention
retry_wait       due▶queued cancelled▶cancelled
waiting          resumed▶queued succeeded▶completed failed▶failed cancelled▶cancelled
attention        failed▶failed retry▶queued succeeded▶completed
completed
failed           retry▶queued
cancelled        retry▶queued
"""
WORDS = {"attention": "needs_attention"}


def _expected() -> dict[tuple[str, str], str]:
    table = {}
    for line in EXPECTED.strip().splitlines():
        state, *moves = line.split()
        for move in moves:
            event, after = move.split("▶")
            table[WORDS.get(state, state), event] = WORDS.get(after, after)
    return table


@pytest.mark.parametrize(("state", "event"), list(itertools.product(StepState, StepEvent)))
def test_every_state_takes_exactly_the_events_of_the_table(state: StepState, event: StepEvent) -> None:
    expected = _expected().get((state, event))
    if expected is None:
        with pytest.raises(errors.InvalidTransition) as refused:
            lifecycle.next_state(state, event)
        assert refused.value.attributes == {"state": state, "event": event}
    else:
        assert lifecycle.next_state(state, event) == expected


def test_a_completed_step_stays_completed() -> None:
    assert not [event for state, event in lifecycle.TRANSITIONS if state is StepState.COMPLETED]


@pytest.mark.parametrize("state", [StepState.FAILED, StepState.CANCELLED])
def test_an_unsuccessful_step_moves_only_by_a_persons_retry(state: StepState) -> None:
    assert [event for known, event in lifecycle.TRANSITIONS if known is state] == [StepEvent.RETRY]


@pytest.mark.parametrize("state", StepState)
def test_every_state_can_be_reached_and_left_for_an_end(state: StepState) -> None:
    assert state in _reachable(StepState.QUEUED)
    assert _reachable(state) & STEP_TERMINAL


def test_cancelling_ends_every_step_that_moves_or_waits() -> None:
    cancellable = {state for state, event in lifecycle.TRANSITIONS if event is StepEvent.CANCELLED}
    assert cancellable == lifecycle.ENDED_AT_ONCE_BY_CANCEL | lifecycle.AT_WORK
    assert cancellable == set(StepState) - STEP_TERMINAL - {StepState.NEEDS_ATTENTION}


def test_nobody_waits_for_a_step_that_still_moves_by_itself() -> None:
    assert not STEP_SETTLED & lifecycle.AT_WORK
    assert not STEP_SETTLED & {StepState.QUEUED, StepState.RETRY_WAIT}


def test_a_favourable_decision_leads_where_resume_to_says() -> None:
    for resume_to, event in lifecycle.APPROVAL_EVENTS.items():
        assert lifecycle.next_state(StepState.WAITING, event) is resume_to


def _reachable(start: StepState) -> set[StepState]:
    seen, todo = {start}, [start]
    while todo:
        state = todo.pop()
        for event in StepEvent:
            after = lifecycle.TRANSITIONS.get((state, event))
            if after is not None and after not in seen:
                seen.add(after)
                todo.append(after)
    return seen
