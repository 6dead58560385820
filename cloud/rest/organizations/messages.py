"""Organizations on the wire. Tests: tests/integration/cloud/rest/test_units.py."""

from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

from cloud.rest.units import UnitUpdate, UnitView
from local_daemon.protocol import wire

TimeZone = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class OrganizationUpdate(UnitUpdate):
    """Another name, slug or time zone (an IANA name, as Europe/Berlin); what is left out stays."""

    time_zone: TimeZone | None = None


class OrganizationView(UnitView):
    """A tenant. `time_zone`: by whose clocks its schedules are written, its days counted and its pages read."""

    organization_id: UUID
    time_zone: str


class OrganizationPage(wire.ViewModel):
    """The organization that the credential is of."""

    items: tuple[OrganizationView, ...]
    next_cursor: str | None
