"""The fleet, for who asks the cloud: machines, their daemons, what they share, and when they were there.

Tests: tests/integration/cloud/operations/test_machines.py.
"""

from uuid import UUID

from cloud.access.principals import Grant
from cloud.connectors import presence, selectors
from cloud.connectors.models import Claim, Connector, Location
from cloud.operations import paging
from cloud.operations.operation import CloudOperation
from cloud.polling import selectors as polling
from cloud.polling.models import Health
from cloud.tenancy.models import Status
from local_daemon.protocol import limits, messages, wire
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.scopes import Scope

_PRESENCE_SHOWN = 20


class ConnectorQuery(messages.PageQuery):
    """Machines, oldest first; only those that are (not) connected, or whose label holds `search`."""

    is_online: wire.Flag | None = None
    search: wire.Line | None = None


class ConnectorGet(wire.WireModel):
    """Names a machine."""

    connector_id: UUID


class ConnectorView(wire.ViewModel):
    """A machine. `serves`: what it was claimed for, by name: a project, a workspace, or the organization; empty where
    that is out of reach, or it was released."""

    connector_id: str
    label: str
    status: str
    is_online: bool
    last_seen_at: wire.Instant | None
    serves: str
    project_ids: tuple[str, ...]
    instances: tuple[str, ...]


class ConnectorPage(wire.ViewModel):
    """Machines within reach."""

    items: tuple[ConnectorView, ...]
    next_cursor: str | None = None


class SharedRepositoryView(wire.ViewModel):
    """A repository of a machine, and the project it serves; usable while `is_shared`."""

    location_id: str
    repository_id: str
    repository: str
    project_id: str | None
    is_shared: bool


class DaemonView(wire.ViewModel):
    """One daemon of a machine. `missing_since`: its machine speaks of it no more."""

    instance_id: str
    label: str
    version: str
    executors: tuple[str, ...]
    last_advertised_at: wire.Instant
    missing_since: wire.Instant | None
    repositories: tuple[SharedRepositoryView, ...]


class HealthView(wire.ViewModel):
    """How the machine answered when it was last asked, every ten minutes, and since when it answers so; `executors`
    that can be used, `code` of the error."""

    health: Health
    since: wire.Instant
    executors: tuple[str, ...]
    code: str | None


class PresenceView(wire.ViewModel):
    """That the machine came, or went."""

    at: wire.Instant
    is_online: bool


class MachineView(wire.ViewModel):
    """A machine, what it offers, and when it came and went, newest first. `health` null: it was never asked."""

    machine: ConnectorView
    health: HealthView | None
    link_opened_at: wire.Instant | None
    daemons: tuple[DaemonView, ...]
    presence: tuple[PresenceView, ...]


def connectors_list(grant: Grant, asked: ConnectorQuery) -> ConnectorPage:
    """Machines."""
    page = selectors.connector_page(
        grant=grant,
        status=Status.ACTIVE if asked.is_online else None,
        is_online=asked.is_online,
        search=asked.search or "",
        limit=asked.limit,
        after=paging.uuid_of(asked.cursor),
    )
    return ConnectorPage(
        items=tuple(_view(grant, row) for row in page.items),
        next_cursor=str(page.next_after) if page.next_after else None,
    )


def connectors_get(grant: Grant, asked: ConnectorGet) -> MachineView:
    """One machine, whole."""
    row = selectors.connector_get(grant=grant, connector_id=asked.connector_id)
    daemons = selectors.instance_page(grant=grant, connector_id=row.id, limit=limits.PAGE_ITEMS_MAX).items
    repositories: dict[UUID, list[Location]] = {}
    shared = selectors.location_page(grant=grant, connector_id=row.id, limit=limits.PAGE_ITEMS_MAX)
    for location in shared.items:
        repositories.setdefault(location.instance_id, []).append(location)
    changes = presence.presence_page(grant=grant, connector_id=row.id, limit=_PRESENCE_SHOWN)
    return MachineView(
        machine=_view(grant, row),
        health=health_view(row),
        link_opened_at=row.link_opened_at if row.link_owner else None,
        daemons=tuple(
            DaemonView(
                instance_id=daemon.instance_id,
                label=daemon.label,
                version=daemon.version,
                executors=tuple(daemon.executors),
                last_advertised_at=daemon.last_advertised_at,
                missing_since=daemon.missing_since,
                repositories=tuple(_repository_view(one) for one in repositories.get(daemon.id, [])),
            )
            for daemon in daemons
        ),
        presence=tuple(PresenceView(at=change.at, is_online=change.is_online) for change in changes),
    )


def _view(grant: Grant, row: Connector) -> ConnectorView:
    return ConnectorView(
        connector_id=str(row.id),
        label=row.label,
        status=row.status,
        is_online=bool(row.link_owner),
        last_seen_at=row.last_seen_at,
        serves=", ".join(_served(grant, claim) for claim in row.claims.all()),
        project_ids=tuple(str(claim.project_id) for claim in row.claims.all() if claim.project_id),
        instances=tuple(daemon.instance_id for daemon in row.instances.all()),
    )


def _served(grant: Grant, claim: Claim) -> str:
    reach = grant.principal.project_ids
    if claim.project is not None:
        return claim.project.name if reach is None or claim.project_id in reach else ""
    if claim.workspace is not None:
        return claim.workspace.name if reach is None or claim.workspace_id == grant.principal.workspace_id else ""
    return "the organization"


def health_view(row: Connector) -> HealthView | None:
    """How a machine answered last; None: it was never asked."""
    found = polling.health_of([row.id]).get(row.id)
    if found is None:
        return None
    return HealthView(
        health=Health(found.health), since=found.since, executors=tuple(found.executors), code=found.code or None
    )


def _repository_view(row: Location) -> SharedRepositoryView:
    return SharedRepositoryView(
        location_id=str(row.id),
        repository_id=row.repository_id,
        repository=row.repository_label,
        project_id=str(row.project_id) if row.project_id else None,
        is_shared=row.is_shared,
    )


OPERATIONS = (
    CloudOperation(
        operation=Operation(
            name="connectors.list",
            title="Machines",
            description="The machines of the organization and whether each is connected.",
            method="GET",
            path="/connectors",
            scope=Scope.CONNECTORS_READ,
            query=ConnectorQuery,
            response=ConnectorPage,
        ),
        answer=connectors_list,
    ),
    CloudOperation(
        operation=Operation(
            name="connectors.get",
            title="A machine",
            description="One machine: its daemons, their executors, the repositories they share, and when it came and "
            "went.",
            method="GET",
            path="/connectors/{connector_id}",
            scope=Scope.CONNECTORS_READ,
            query=ConnectorGet,
            response=MachineView,
        ),
        answer=connectors_get,
    ),
)
