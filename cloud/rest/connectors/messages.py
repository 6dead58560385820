"""Machines on the wire. Tests: tests/integration/cloud/rest/test_machines.py."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import StringConstraints

from cloud.operations.machines import HealthView
from cloud.rest import queries
from cloud.rest.enrollment_codes.messages import ServedBy
from cloud.rest.instances.messages import InstanceView
from cloud.rest.locations.messages import LocationView
from cloud.tenancy.models import Status
from local_daemon.protocol import messages, wire


class ConnectorQuery(messages.PageQuery):
    """Machines, oldest first: of one status, connected or not, or whose label holds `search`."""

    status: Status | None = None
    is_online: queries.Flag | None = None
    with_released: queries.Flag = False
    search: queries.Search = ""


class MachineClaim(ServedBy):
    """The code that a waiting machine shows, and what the machine shall serve."""

    claim_code: Annotated[str, StringConstraints(min_length=1, max_length=20)]


class ConnectorUpdate(wire.WireModel):
    """What to call a machine."""

    label: wire.Line


class WaitingMachineView(wire.ViewModel):
    """What a machine that waits to be claimed says of itself."""

    label: str
    machine: dict[str, Any]


class ClaimView(wire.ViewModel):
    """What a machine serves; null in both: any project of the organization that it is mapped to."""

    workspace_id: UUID | None
    project_id: UUID | None
    claimed_by: str
    claimed_at: wire.Instant


class MachineView(wire.ViewModel):
    """A machine; `claim` null: it was released. `machine` is what it said of itself."""

    connector_id: UUID
    label: str
    status: Status
    is_online: bool
    version: int
    claim: ClaimView | None
    machine: dict[str, Any]
    created_at: wire.Instant
    last_seen_at: wire.Instant | None
    released_at: wire.Instant | None


class MachineDetail(MachineView):
    """A machine with its daemons and their repositories. `health` null: it was never asked."""

    health: HealthView | None

    instances: tuple[InstanceView, ...]
    locations: tuple[LocationView, ...]


class MachinePage(wire.ViewModel):
    """Machines within reach."""

    items: tuple[MachineView, ...]
    next_cursor: str | None


class PresenceView(wire.ViewModel):
    """That a machine came online, or went; `epoch` counts its links."""

    at: wire.Instant
    is_online: bool
    epoch: int


class PresencePage(wire.ViewModel):
    """A machine's history, newest first."""

    items: tuple[PresenceView, ...]
    next_cursor: str | None
