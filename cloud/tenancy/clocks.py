"""By whose clocks an organization lives: its time zone, for schedules, for what counts as a day, and on its pages.

What is kept and exported stays UTC. Called by `organizations`, `cloud.schedules` and the surfaces. Tests:
tests/integration/cloud/tenancy/test_clocks.py.
"""

from functools import cache
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from cloud.tenancy.models import Organization
from local_daemon.protocol import errors

UTC = "UTC"
# Names of this machine's own clock, and of none.
_NO_PLACES = frozenset({"localtime", "Factory", "posixrules"})


@cache
def names() -> tuple[str, ...]:
    """Every time zone that can be chosen, by its IANA name."""
    return tuple(sorted(available_timezones() - _NO_PLACES))


def name_checked(name: str) -> str:
    """The name as it is kept. Raises InvalidRequest."""
    if name not in names():
        raise errors.InvalidRequest(
            "There is no such time zone; Europe/Berlin is one.",
            errors=[{"field": "time_zone", "message": "The IANA name of a time zone."}],
        )
    return name


def zone_of(organization_id: UUID) -> str:
    """The organization's, in its open scope."""
    return Organization.objects.values_list("time_zone", flat=True).get(id=organization_id)


def zone(name: str) -> ZoneInfo:
    """The zone of a name that was kept; UTC where this machine does not know it any more."""
    return ZoneInfo(name if name in names() else UTC)
