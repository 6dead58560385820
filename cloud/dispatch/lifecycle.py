"""The life of a remote call, as a table. Pure.

`accepted` is durable and was not handed to any link since; `sent` was, so the machine may have executed it. A call that
went back to `accepted` because its link was lost keeps the memory of having been sent: it can no longer end as surely
not executed. Called by `acceptance` and `progress`. Tests: tests/lifecycle/test_calls.py.
"""

from collections.abc import Mapping
from types import MappingProxyType

from local_daemon.protocol import errors
from local_daemon.protocol.states import CallEvent, CallState

TABLE: Mapping[tuple[CallState, CallEvent], CallState] = MappingProxyType(
    {
        (CallState.ACCEPTED, CallEvent.SEND): CallState.SENT,
        (CallState.ACCEPTED, CallEvent.DEADLINE): CallState.EXPIRED,
        (CallState.ACCEPTED, CallEvent.CANCEL): CallState.CANCELLED,
        # Its link was taken for lost, and answered after all.
        (CallState.ACCEPTED, CallEvent.ANSWER): CallState.ANSWERED,
        (CallState.SENT, CallEvent.LINK_LOST): CallState.ACCEPTED,
        (CallState.SENT, CallEvent.DEADLINE): CallState.UNRESOLVED,
        (CallState.SENT, CallEvent.ANSWER): CallState.ANSWERED,
        (CallState.UNRESOLVED, CallEvent.ANSWER): CallState.ANSWERED,
    }
)
"""Which state follows; what is not here cannot happen."""

OPEN = frozenset({CallState.ACCEPTED, CallState.SENT})
"""States in which an answer is still waited for."""

_NOT_EXECUTED = frozenset({CallState.EXPIRED, CallState.CANCELLED})


def advance(state: CallState, event: CallEvent, *, was_sent: bool) -> CallState:
    """The state after the event. `was_sent`: a link had it at least once. Raises InvalidTransition."""
    after = TABLE.get((state, event))
    if after is None or (after is CallState.CANCELLED and was_sent):
        raise errors.InvalidTransition(f"A call that is {state} cannot {event}.", state=state.value)
    if after in _NOT_EXECUTED and was_sent:
        return CallState.UNRESOLVED
    return after


def sources(event: CallEvent) -> frozenset[CallState]:
    """The states in which the event can happen: what a compare-and-set names."""
    return frozenset(state for state, known in TABLE if known is event)


def may_go_again(state: CallState, *, is_retryable: bool) -> bool:
    """Whether its caller, presenting the same key, lets the same call go again instead of getting its answer."""
    return state not in OPEN and (state is not CallState.ANSWERED or is_retryable)
