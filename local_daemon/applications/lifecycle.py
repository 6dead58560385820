"""The life of an application as one table: planned, then applied or refused. Nothing leads back.

Pure, and the only place that decides. Applied by `applications.services`.
Tests: tests/lifecycle/test_application_lifecycle.py.
"""

from collections.abc import Mapping
from types import MappingProxyType

from local_daemon.protocol import errors
from local_daemon.protocol.states import ApplicationEvent, ApplicationState

TRANSITIONS: Mapping[tuple[ApplicationState, ApplicationEvent], ApplicationState] = MappingProxyType(
    {
        (ApplicationState.PLANNED, ApplicationEvent.CARRIED_OUT): ApplicationState.APPLIED,
        (ApplicationState.PLANNED, ApplicationEvent.REFUSED): ApplicationState.REFUSED,
    }
)
"""Every change there is; what is absent is refused."""


def next_state(state: ApplicationState, event: ApplicationEvent) -> ApplicationState:
    """Where the event leads. Raises InvalidTransition where it may not happen."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise errors.InvalidTransition(f"This application is {state} already.", state=str(state)) from None
