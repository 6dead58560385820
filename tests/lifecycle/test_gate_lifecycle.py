"""Every state of a gate against every event."""

import itertools

import pytest

from local_daemon.gates import lifecycle
from local_daemon.protocol import errors
from local_daemon.protocol.states import GateDecision, GateEvent, GateKind, GateState

EXPECTED = {
    ("open", "approve"): "approved",
    ("open", "reject"): "rejected",
    ("open", "answer"): "answered",
    ("open", "expire"): "expired",
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(GateState, GateEvent)))
def test_a_gate_is_decided_exactly_once(state: GateState, event: GateEvent) -> None:
    expected = EXPECTED.get((state, event))
    if expected is None:
        with pytest.raises(errors.GateDecided):
            lifecycle.next_state(state, event)
    else:
        assert lifecycle.next_state(state, event) == expected


def test_every_kind_of_gate_can_be_rejected_and_has_one_way_on() -> None:
    assert set(lifecycle.DECISIONS_BY_KIND) == set(GateKind)
    for decisions in lifecycle.DECISIONS_BY_KIND.values():
        assert len(decisions) == 2
        assert GateDecision.REJECT in decisions


def test_every_decision_is_an_event() -> None:
    assert set(lifecycle.EVENT_BY_DECISION) == set(GateDecision)
