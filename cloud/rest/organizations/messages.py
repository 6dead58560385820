"""Organizations on the wire. Tests: tests/integration/cloud/rest/test_units.py."""

from uuid import UUID

from cloud.rest.units import UnitView
from local_daemon.protocol import wire


class OrganizationView(UnitView):
    """A tenant."""

    organization_id: UUID


class OrganizationPage(wire.ViewModel):
    """The organization that the credential is of."""

    items: tuple[OrganizationView, ...]
    next_cursor: str | None
