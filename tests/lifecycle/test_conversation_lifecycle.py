"""Every state of a conversation against every event and every state of its last turn."""

import itertools

import pytest

from local_daemon.conversations import lifecycle
from local_daemon.protocol import errors
from local_daemon.protocol.states import STEP_TERMINAL, ConversationEvent, ConversationState, StepState

EXPECTED = {("open", "said"): "open", ("open", "undone"): "open", ("open", "closed"): "closed"}


@pytest.mark.parametrize(
    ("state", "event", "last_turn"), list(itertools.product(ConversationState, ConversationEvent, [None, *StepState]))
)
def test_nothing_happens_while_a_turn_is_at_work_nor_after_the_end(
    state: ConversationState, event: ConversationEvent, last_turn: StepState | None
) -> None:
    expected = EXPECTED.get((state, event))
    is_busy = last_turn is not None and last_turn not in STEP_TERMINAL
    if expected is None or is_busy:
        with pytest.raises(errors.InvalidTransition):
            lifecycle.next_state(state, event, last_turn=last_turn)
    else:
        assert lifecycle.next_state(state, event, last_turn=last_turn) == expected
