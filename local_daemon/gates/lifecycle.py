"""The life of a gate as one table: open, then decided once, or expired. And which decision fits which kind of gate.

Pure, and the only place that decides. Applied by `gates.services`. Tests: tests/lifecycle/test_gate_lifecycle.py.
"""

from collections.abc import Mapping
from types import MappingProxyType

from local_daemon.protocol import errors
from local_daemon.protocol.states import GateDecision, GateEvent, GateKind, GateState

TRANSITIONS: Mapping[tuple[GateState, GateEvent], GateState] = MappingProxyType(
    {
        (GateState.OPEN, GateEvent.APPROVE): GateState.APPROVED,
        (GateState.OPEN, GateEvent.REJECT): GateState.REJECTED,
        (GateState.OPEN, GateEvent.ANSWER): GateState.ANSWERED,
        (GateState.OPEN, GateEvent.EXPIRE): GateState.EXPIRED,
    }
)
"""Every change there is; what is absent is refused."""

EVENT_BY_DECISION: Mapping[GateDecision, GateEvent] = MappingProxyType(
    {
        GateDecision.APPROVE: GateEvent.APPROVE,
        GateDecision.REJECT: GateEvent.REJECT,
        GateDecision.ANSWER: GateEvent.ANSWER,
    }
)
"""What each word of a decider does to the gate."""

_APPROVAL = frozenset({GateDecision.APPROVE, GateDecision.REJECT})
DECISIONS_BY_KIND: Mapping[GateKind, frozenset[GateDecision]] = MappingProxyType(
    {
        GateKind.BEFORE: _APPROVAL,
        GateKind.AFTER: _APPROVAL,
        GateKind.QUESTION: frozenset({GateDecision.ANSWER, GateDecision.REJECT}),
    }
)
"""A question is answered, work is approved; either may be rejected."""


def next_state(state: GateState, event: GateEvent) -> GateState:
    """Where the event leads. Raises GateDecided where it may not happen: a gate is decided once."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise errors.GateDecided(state=str(state)) from None
