"""Every state of an application against every event."""

import itertools

import pytest

from local_daemon.applications import lifecycle
from local_daemon.protocol import errors
from local_daemon.protocol.states import ApplicationEvent, ApplicationState

EXPECTED = {("planned", "carried_out"): "applied", ("planned", "refused"): "refused"}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(ApplicationState, ApplicationEvent)))
def test_an_application_ends_exactly_once(state: ApplicationState, event: ApplicationEvent) -> None:
    expected = EXPECTED.get((state, event))
    if expected is None:
        with pytest.raises(errors.InvalidTransition):
            lifecycle.next_state(state, event)
    else:
        assert lifecycle.next_state(state, event) == expected
