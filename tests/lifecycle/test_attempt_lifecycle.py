"""Every state of an attempt against every event."""

import itertools

import pytest

from local_daemon.attempts import lifecycle
from local_daemon.protocol import errors
from local_daemon.protocol.states import AttemptEvent, AttemptState

EXPECTED = {
    ("leased", "started"): "running",
    ("leased", "abandoned"): "abandoned",
    ("running", "exited"): "exited",
    ("running", "abandoned"): "abandoned",
    ("exited", "recorded"): "recorded",
    ("exited", "abandoned"): "abandoned",
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(AttemptState, AttemptEvent)))
def test_every_state_takes_exactly_the_events_of_the_table(state: AttemptState, event: AttemptEvent) -> None:
    expected = EXPECTED.get((state, event))
    if expected is None:
        with pytest.raises(errors.InvalidTransition):
            lifecycle.next_state(state, event)
    else:
        assert lifecycle.next_state(state, event) == expected


def test_an_attempt_starts_at_most_once() -> None:
    before_start = [state for state, event in lifecycle.TRANSITIONS if event is AttemptEvent.STARTED]
    assert before_start == [AttemptState.LEASED]
    assert AttemptState.LEASED not in lifecycle.TRANSITIONS.values()


def test_an_attempt_holds_its_lease_exactly_until_it_can_move_no_more() -> None:
    assert set(lifecycle.UNFINISHED) == {state for state, _ in lifecycle.TRANSITIONS}
