"""Locations on the wire. Tests: tests/integration/cloud/rest/test_machines.py."""

from uuid import UUID

from local_daemon.protocol import messages, wire


class LocationQuery(messages.PageQuery):
    """Locations, oldest first: of one project, machine or instance."""

    project_id: UUID | None = None
    connector_id: UUID | None = None
    instance_id: UUID | None = None


class ProjectMapping(wire.WireModel):
    """Which project it serves from now on; null: none in particular."""

    project_id: UUID | None


class LocationView(wire.ViewModel):
    """A repository of a machine, and the project it serves; usable while its operator shares it.
    `mapping_version` counts its projects, for If-Match."""

    location_id: UUID
    project_id: UUID | None
    mapping_version: int
    instance_id: UUID
    connector_id: UUID
    machine: str
    repository_id: str
    repository: str
    is_shared: bool
    is_online: bool
    last_advertised_at: wire.Instant


class LocationPage(wire.ViewModel):
    """Locations within reach."""

    items: tuple[LocationView, ...]
    next_cursor: str | None
