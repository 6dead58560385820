"""The life of a conversation: open, with at most one turn at work, until it is closed.

Pure, and the only place that decides. Applied by `conversations.services`.
Tests: tests/lifecycle/test_conversation_lifecycle.py.
"""

from collections.abc import Mapping
from types import MappingProxyType

from local_daemon.protocol import errors
from local_daemon.protocol.states import STEP_TERMINAL, ConversationEvent, ConversationState, StepState

TRANSITIONS: Mapping[tuple[ConversationState, ConversationEvent], ConversationState] = MappingProxyType(
    {
        (ConversationState.OPEN, ConversationEvent.SAID): ConversationState.OPEN,
        (ConversationState.OPEN, ConversationEvent.UNDONE): ConversationState.OPEN,
        (ConversationState.OPEN, ConversationEvent.CLOSED): ConversationState.CLOSED,
    }
)
"""Every change there is; what is absent is refused."""


def next_state(state: ConversationState, event: ConversationEvent, *, last_turn: StepState | None) -> ConversationState:
    """Where the event leads, the newest turn standing at `last_turn`. Raises InvalidTransition where it may not
    happen: also while that turn has not ended, for one worktree serves one turn at a time."""
    if last_turn is not None and last_turn not in STEP_TERMINAL:
        raise errors.InvalidTransition(
            f"The last turn is {last_turn}; wait for it, decide what it waits on, or cancel it.", state=str(last_turn)
        )
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise errors.InvalidTransition(f"This conversation is {state}; begin another one.", state=str(state)) from None
