"""The life of a step as one table: state × event → state.

    queued ─leased▶ preparing ─released▶ running ─exited▶ collecting ─collected▶ validating ─succeeded▶ completed
       └gated▶ waiting ◀gated┘ (a question, or finished changes)     any of the four ─lost▶ needs_attention
    waiting ─resumed▶ queued, ─succeeded▶ completed, ─failed▶ failed     a rule's retry ▶ retry_wait ─due▶ queued

Pure, and the only place that decides. Applied by `steps.services`. Tests: tests/lifecycle/test_step_lifecycle.py.
"""

from collections.abc import Mapping
from types import MappingProxyType

from local_daemon.protocol import errors
from local_daemon.protocol.states import StepEvent, StepState

TRANSITIONS: Mapping[tuple[StepState, StepEvent], StepState] = MappingProxyType(
    {
        (StepState.QUEUED, StepEvent.LEASED): StepState.PREPARING,
        (StepState.QUEUED, StepEvent.GATED): StepState.WAITING,
        (StepState.QUEUED, StepEvent.FAILED): StepState.FAILED,
        (StepState.QUEUED, StepEvent.CANCELLED): StepState.CANCELLED,
        (StepState.PREPARING, StepEvent.RELEASED): StepState.RUNNING,
        (StepState.PREPARING, StepEvent.RETRY): StepState.RETRY_WAIT,
        (StepState.PREPARING, StepEvent.FAILED): StepState.FAILED,
        (StepState.PREPARING, StepEvent.CANCELLED): StepState.CANCELLED,
        (StepState.PREPARING, StepEvent.LOST): StepState.NEEDS_ATTENTION,
        # A running step is never retried directly: its edits are collected first.
        (StepState.RUNNING, StepEvent.EXITED): StepState.COLLECTING,
        (StepState.RUNNING, StepEvent.FAILED): StepState.FAILED,
        (StepState.RUNNING, StepEvent.CANCELLED): StepState.CANCELLED,
        (StepState.RUNNING, StepEvent.LOST): StepState.NEEDS_ATTENTION,
        (StepState.COLLECTING, StepEvent.COLLECTED): StepState.VALIDATING,
        (StepState.COLLECTING, StepEvent.GATED): StepState.WAITING,
        (StepState.COLLECTING, StepEvent.RETRY): StepState.RETRY_WAIT,
        (StepState.COLLECTING, StepEvent.FAILED): StepState.FAILED,
        (StepState.COLLECTING, StepEvent.CANCELLED): StepState.CANCELLED,
        (StepState.COLLECTING, StepEvent.LOST): StepState.NEEDS_ATTENTION,
        (StepState.VALIDATING, StepEvent.SUCCEEDED): StepState.COMPLETED,
        (StepState.VALIDATING, StepEvent.GATED): StepState.WAITING,
        (StepState.VALIDATING, StepEvent.RETRY): StepState.RETRY_WAIT,
        (StepState.VALIDATING, StepEvent.FAILED): StepState.FAILED,
        (StepState.VALIDATING, StepEvent.CANCELLED): StepState.CANCELLED,
        (StepState.VALIDATING, StepEvent.LOST): StepState.NEEDS_ATTENTION,
        (StepState.RETRY_WAIT, StepEvent.DUE): StepState.QUEUED,
        (StepState.RETRY_WAIT, StepEvent.CANCELLED): StepState.CANCELLED,
        (StepState.WAITING, StepEvent.RESUMED): StepState.QUEUED,
        (StepState.WAITING, StepEvent.SUCCEEDED): StepState.COMPLETED,
        (StepState.WAITING, StepEvent.FAILED): StepState.FAILED,
        (StepState.WAITING, StepEvent.CANCELLED): StepState.CANCELLED,
        # Left only by a person's word: failed, retry, or accept.
        (StepState.NEEDS_ATTENTION, StepEvent.FAILED): StepState.FAILED,
        (StepState.NEEDS_ATTENTION, StepEvent.RETRY): StepState.QUEUED,
        (StepState.NEEDS_ATTENTION, StepEvent.SUCCEEDED): StepState.COMPLETED,
        # A person may ask for another attempt of what did not succeed.
        (StepState.FAILED, StepEvent.RETRY): StepState.QUEUED,
        (StepState.CANCELLED, StepEvent.RETRY): StepState.QUEUED,
    }
)
"""Every change there is; what is absent is refused."""

APPROVAL_EVENTS: Mapping[StepState, StepEvent] = MappingProxyType(
    {StepState.QUEUED: StepEvent.RESUMED, StepState.COMPLETED: StepEvent.SUCCEEDED}
)
"""What a favourable decision means for a waiting step, by its `resume_to`; also the states it may resume to."""

ENDED_AT_ONCE_BY_CANCEL = frozenset({StepState.QUEUED, StepState.RETRY_WAIT, StepState.WAITING})
"""Nothing of theirs is at work, so a cancel needs nobody's confirmation."""

AT_WORK = frozenset({StepState.PREPARING, StepState.RUNNING, StepState.COLLECTING, StepState.VALIDATING})
"""An attempt holds a lease; only the scheduler moves these."""


def next_state(state: StepState, event: StepEvent) -> StepState:
    """Where the event leads. Raises InvalidTransition where it may not happen."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise errors.InvalidTransition(
            f"A step that is {state} cannot be {event}; read it before retrying.", state=str(state), event=str(event)
        ) from None
