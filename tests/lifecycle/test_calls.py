"""The life of a remote call, walked exhaustively (docs/architecture.md, "States")."""

import itertools

import pytest

from cloud.dispatch import lifecycle
from local_daemon.protocol import errors
from local_daemon.protocol.states import CallEvent, CallState

EXPECTED = {
    (CallState.ACCEPTED, CallEvent.SEND): CallState.SENT,
    (CallState.ACCEPTED, CallEvent.ANSWER): CallState.ANSWERED,
    (CallState.ACCEPTED, CallEvent.DEADLINE): CallState.EXPIRED,
    (CallState.ACCEPTED, CallEvent.CANCEL): CallState.CANCELLED,
    (CallState.SENT, CallEvent.LINK_LOST): CallState.ACCEPTED,
    (CallState.SENT, CallEvent.ANSWER): CallState.ANSWERED,
    (CallState.SENT, CallEvent.DEADLINE): CallState.UNRESOLVED,
    (CallState.UNRESOLVED, CallEvent.ANSWER): CallState.ANSWERED,
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(CallState, CallEvent)))
def test_a_call_never_sent_goes_where_the_table_says_or_nowhere(state: CallState, event: CallEvent) -> None:
    if (state, event) in EXPECTED:
        assert lifecycle.advance(state, event, was_sent=False) is EXPECTED[state, event]
    else:
        with pytest.raises(errors.InvalidTransition):
            lifecycle.advance(state, event, was_sent=False)


@pytest.mark.parametrize("event", list(CallEvent))
@pytest.mark.parametrize("state", list(CallState))
def test_a_call_once_sent_never_ends_as_surely_not_executed(state: CallState, event: CallEvent) -> None:
    try:
        after = lifecycle.advance(state, event, was_sent=True)
    except errors.InvalidTransition:
        return
    assert after not in (CallState.EXPIRED, CallState.CANCELLED)


def test_a_call_once_sent_that_waits_for_its_next_link_is_unresolved_at_its_deadline() -> None:
    assert lifecycle.advance(CallState.ACCEPTED, CallEvent.DEADLINE, was_sent=True) is CallState.UNRESOLVED


def test_an_answered_call_is_final() -> None:
    assert not [event for state, event in lifecycle.TABLE if state is CallState.ANSWERED]


@pytest.mark.parametrize("state", list(CallState))
def test_only_what_is_neither_open_nor_finally_answered_may_go_again(state: CallState) -> None:
    is_over = state not in lifecycle.OPEN
    assert lifecycle.may_go_again(state, is_retryable=True) is is_over
    assert lifecycle.may_go_again(state, is_retryable=False) is (is_over and state is not CallState.ANSWERED)


def test_every_state_can_be_reached() -> None:
    assert set(lifecycle.TABLE.values()) | {CallState.ACCEPTED} == set(CallState)
