"""Machines: claiming, naming, moving, shutting out and letting go; and when they were there.

Tests: tests/integration/cloud/rest/test_machines.py.
"""

from typing import Any
from uuid import UUID

from cloud.connectors import claims, enrollment, presence, selectors, services
from cloud.connectors.models import Connector, Presence
from cloud.operations.machines import health_view
from cloud.rest import pages
from cloud.rest.collection import Collection
from cloud.rest.connectors.messages import (
    ClaimView,
    ConnectorQuery,
    ConnectorUpdate,
    MachineClaim,
    MachineDetail,
    MachinePage,
    MachineView,
    PresencePage,
    PresenceView,
    WaitingMachineView,
)
from cloud.rest.endpoints import Asked, IfMatch, endpoint
from cloud.rest.enrollment_codes.messages import ServedBy
from cloud.rest.instances.views import instance_view
from cloud.rest.locations.views import location_view
from cloud.tenancy.models import Status
from local_daemon.protocol import messages

_ONE = "/connectors/{connector_id}"


@endpoint(
    "POST",
    "/connectors/look",
    name="connectors.look",
    title="Look at a waiting machine",
    service=enrollment.pending_find,
    request=MachineClaim,
    response=WaitingMachineView,
)
def connectors_look(asked: Asked, body: MachineClaim) -> WaitingMachineView:
    """What the machine that shows this claim code says of itself, to look at before claiming it."""
    grant = asked.grant(workspace_id=body.workspace_id, project_id=body.project_id)
    found = enrollment.pending_find(grant=grant, claim_code=body.claim_code)
    return WaitingMachineView(label=found.label, machine=dict(found.machine))


@endpoint(
    "POST",
    "/connectors/claim",
    name="connectors.claim",
    title="Claim a machine",
    service=enrollment.connector_claim,
    request=MachineClaim,
    response=MachineView,
    status=201,
)
def connectors_claim(asked: Asked, body: MachineClaim) -> MachineView:
    """Take the machine that shows this claim code."""
    grant = asked.grant(workspace_id=body.workspace_id, project_id=body.project_id)
    return _view(enrollment.connector_claim(grant=grant, claim_code=body.claim_code))


@endpoint(
    "GET", _ONE, name="connectors.get", title="A machine", service=selectors.connector_get, response=MachineDetail
)
def connectors_get(asked: Asked, connector_id: UUID) -> MachineDetail:
    """One machine, with its daemons and the repositories that it shares or shared."""
    row = selectors.connector_get(grant=asked.grant(), connector_id=connector_id)
    instances = sorted(row.instances.all(), key=lambda instance: instance.id)
    return MachineDetail(
        health=health_view(row),
        instances=tuple(instance_view(instance) for instance in instances),
        locations=tuple(location_view(location) for instance in instances for location in instance.locations.all()),
        **_facts(row),
    )


@endpoint(
    "POST",
    f"{_ONE}/transfer",
    name="connectors.transfer",
    title="Move a machine",
    service=claims.connector_transfer,
    request=ServedBy,
    response=MachineView,
    if_match=IfMatch.HONOURED,
)
def connectors_transfer(asked: Asked, connector_id: UUID, body: ServedBy) -> MachineView:
    """Have a machine serve another project, another workspace, or the whole organization."""
    return _view(
        claims.connector_transfer(
            grant=asked.grant(),
            connector_id=connector_id,
            target=asked.grant(workspace_id=body.workspace_id, project_id=body.project_id),
            expected_version=asked.expected_version,
        )
    )


@endpoint(
    "GET",
    f"{_ONE}/presence",
    name="connectors.presence",
    title="When a machine was there",
    service=presence.presence_page,
    query=messages.PageQuery,
    response=PresencePage,
)
def connectors_presence(asked: Asked, connector_id: UUID, query: messages.PageQuery) -> PresencePage:
    """When a machine came online and when it went, newest first."""
    rows = presence.presence_page(
        grant=asked.grant(),
        connector_id=connector_id,
        limit=query.limit,
        before=pages.after_number(query.cursor),
    )
    return PresencePage(**pages.rows_told(rows, _presence_view, limit=query.limit, mark=lambda row: row.id))


def _facts(row: Connector) -> dict[str, Any]:
    claim = next(iter(row.claims.all()), None)
    return {
        "connector_id": row.id,
        "label": row.label,
        "status": Status(row.status),
        "is_online": bool(row.link_owner),
        "version": row.version,
        "claim": claim
        and ClaimView(
            workspace_id=claim.workspace_id,
            project_id=claim.project_id,
            claimed_by=claim.claimed_by,
            claimed_at=claim.claimed_at,
        ),
        "machine": row.machine,
        "created_at": row.created_at,
        "last_seen_at": row.last_seen_at,
        "released_at": row.released_at,
    }


def _view(row: Connector) -> MachineView:
    return MachineView(**_facts(row))


def _presence_view(row: Presence) -> PresenceView:
    return PresenceView(at=row.at, is_online=row.is_online, epoch=row.epoch)


_all = Collection(name="connectors", path="/connectors", id_name="connector_id", view=_view, response=MachineView)

ENDPOINTS = (
    _all.list(
        "Machines",
        "The machines within reach, and whether each is connected; oldest first.",
        selectors.connector_page,
        query=ConnectorQuery,
        page=MachinePage,
    ),
    connectors_look,
    connectors_claim,
    connectors_get,
    _all.update("Rename a machine", "Call a machine something else.", services.connector_rename, body=ConnectorUpdate),
    _all.act(
        "disable",
        "Disable a machine",
        "Shut a machine out: its link ends, and is refused from now on.",
        services.connector_disable,
    ),
    _all.act("enable", "Enable a machine", "Let a machine in again.", services.connector_enable),
    _all.act(
        "release",
        "Release a machine",
        "Let a machine go: nothing of it is served any more, and its key may be claimed anew, here or elsewhere.",
        claims.connector_release,
    ),
    connectors_transfer,
    connectors_presence,
)
