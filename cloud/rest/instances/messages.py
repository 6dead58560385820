"""Instances on the wire. Tests: tests/integration/cloud/rest/test_machines.py."""

from uuid import UUID

from cloud.rest import queries
from local_daemon.protocol import messages, wire


class InstanceQuery(messages.PageQuery):
    """Instances, oldest first: of one machine; without those that it speaks of no more, if asked."""

    connector_id: UUID | None = None
    with_missing: queries.Flag = True


class InstanceView(wire.ViewModel):
    """One daemon behind a connector. `daemon_id` is its own name for itself, `version` its program's; `missing_since`:
    its connector speaks of it no more. `mapping_version` counts its projects, for If-Match."""

    instance_id: UUID
    connector_id: UUID
    daemon_id: str
    project_id: UUID | None
    mapping_version: int
    label: str
    version: str
    executors: tuple[str, ...]
    is_online: bool
    last_advertised_at: wire.Instant
    missing_since: wire.Instant | None


class InstancePage(wire.ViewModel):
    """Instances within reach."""

    items: tuple[InstanceView, ...]
    next_cursor: str | None
