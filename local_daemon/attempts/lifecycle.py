"""The life of one attempt as one table: leased ▶ running ▶ exited ▶ recorded, or abandoned on the way.

Pure, and the only place that decides. Applied by `attempts.services`. Tests: tests/lifecycle/test_attempt_lifecycle.py.
"""

from collections.abc import Mapping
from types import MappingProxyType

from local_daemon.protocol import errors
from local_daemon.protocol.states import AttemptEvent, AttemptState

TRANSITIONS: Mapping[tuple[AttemptState, AttemptEvent], AttemptState] = MappingProxyType(
    {
        (AttemptState.LEASED, AttemptEvent.STARTED): AttemptState.RUNNING,
        (AttemptState.LEASED, AttemptEvent.ABANDONED): AttemptState.ABANDONED,
        (AttemptState.RUNNING, AttemptEvent.EXITED): AttemptState.EXITED,
        (AttemptState.RUNNING, AttemptEvent.ABANDONED): AttemptState.ABANDONED,
        (AttemptState.EXITED, AttemptEvent.RECORDED): AttemptState.RECORDED,
        (AttemptState.EXITED, AttemptEvent.ABANDONED): AttemptState.ABANDONED,
    }
)
"""Every change there is; what is absent is refused. An attempt starts at most once."""

UNFINISHED = (AttemptState.LEASED, AttemptState.RUNNING, AttemptState.EXITED)
"""States that hold a lease."""


def next_state(state: AttemptState, event: AttemptEvent) -> AttemptState:
    """Where the event leads. Raises InvalidTransition where it may not happen."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise errors.InvalidTransition(
            f"An attempt that is {state} cannot be {event}.", state=str(state), event=str(event)
        ) from None
