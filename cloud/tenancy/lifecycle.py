"""The life of an organization, a workspace or a project, as a table. Pure.

Only what is `active` can be used. What is `deleting` is kept until its grace is over, and can be resumed until then.
Called by `units`. Tests: tests/lifecycle/test_tenants.py.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from local_daemon.protocol import errors


class TenantStatus(StrEnum):
    """Whether it can be used."""

    ACTIVE = "active"  # in use
    SUSPENDED = "suspended"  # kept, refused everywhere
    DELETING = "deleting"  # refused everywhere, and purged when it is due


class TenantEvent(StrEnum):
    """What an administrator does with it."""

    SUSPEND = "suspend"  # take it out of use for now
    RESUME = "resume"  # take it into use again, also while it waits to be purged
    DELETE = "delete"  # have it purged after its grace


TABLE: Mapping[tuple[TenantStatus, TenantEvent], TenantStatus] = MappingProxyType(
    {
        (TenantStatus.ACTIVE, TenantEvent.SUSPEND): TenantStatus.SUSPENDED,
        (TenantStatus.ACTIVE, TenantEvent.DELETE): TenantStatus.DELETING,
        (TenantStatus.SUSPENDED, TenantEvent.RESUME): TenantStatus.ACTIVE,
        (TenantStatus.SUSPENDED, TenantEvent.DELETE): TenantStatus.DELETING,
        (TenantStatus.DELETING, TenantEvent.RESUME): TenantStatus.ACTIVE,
    }
)
"""Which status follows; what is not here cannot happen."""


def advance(status: TenantStatus, event: TenantEvent) -> TenantStatus:
    """The status after the event. Raises InvalidTransition."""
    after = TABLE.get((status, event))
    if after is None:
        raise errors.InvalidTransition(f"What is {status} cannot be asked to {event}.", status=status.value)
    return after


_ENDS: Mapping[TenantEvent, TenantStatus] = MappingProxyType(
    {
        TenantEvent.SUSPEND: TenantStatus.SUSPENDED,
        TenantEvent.RESUME: TenantStatus.ACTIVE,
        TenantEvent.DELETE: TenantStatus.DELETING,
    }
)


def is_done(status: TenantStatus, event: TenantEvent) -> bool:
    """Whether the event would change nothing: asking twice is asking once."""
    return status is _ENDS[event]
