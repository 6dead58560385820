"""What a connector serves, and letting it go.

A machine comes by proof only (`enrollment.py`); moving it within its organization needs no new one, and one that was
released comes back, to this organization or another, by the same proof as the first time: as another connector, so that
nothing of before is seen there. Callers open the organization's scope. Tests:
tests/integration/cloud/connectors/test_claims.py.
"""

from datetime import UTC, datetime
from uuid import UUID

from django.db.models import F, Q

from cloud.access.principals import Grant
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.connectors import mapping, reach
from cloud.connectors.models import Claim, Connector, Location
from cloud.tenancy import grants, revocations, units
from cloud.tenancy.models import Project, Status
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


def claimable_check(*, grant: Grant) -> None:
    """Raise Forbidden when the grant names neither workspace nor project and its principal reaches only a part."""
    if grant.workspace_id is None:
        grants.whole_organization(grant)


@grants.needs(Scope.CONNECTORS_WRITE)
def connector_transfer(
    *, grant: Grant, connector_id: UUID, target: Grant, expected_version: int | None = None
) -> Connector:
    """Have a connector serve what `target` names (a project, a workspace, else the organization) from now on.

    Locations of the project that it served move to the new one; others stay where they are within the target, and
    nowhere beyond it. What ran before stays on record where it ran. Raises NotFound, Forbidden, PreconditionFailed."""
    if target.scope is not Scope.CONNECTORS_WRITE or target.organization_id != grant.organization_id:
        raise errors.Forbidden("The target needs a grant of the same kind.")
    claimable_check(grant=target)
    with recorded("connector_change"):
        held = reach.connectors_held(grant)
        connector = units.row_lock(held, connector_id, expected_version=expected_version)
        claim = Claim.objects.select_for_update().get(connector=connector)
        before = claim.project_id
        claim.workspace_id, claim.project_id = target.workspace_id, target.project_id
        claim.claimed_by = grant.principal.label
        claim.save(update_fields=["workspace", "project", "claimed_by"])
        _locations_move(connector, before=before, target=target)
        audit.event_record(
            event_type=EventType.CONNECTOR_TRANSFERRED,
            principal=grant.principal,
            target_kind="connector",
            target_id=connector.id,
            project_id=target.project_id,
            details={
                "from_project_id": str(before) if before else None,
                "workspace_id": str(target.workspace_id) if target.workspace_id else None,
            },
        )
        revocations.revocation_tell(revocations.Revoked.CONNECTOR, connector.id)
    return connector


@grants.needs(Scope.CONNECTORS_WRITE)
def connector_release(*, grant: Grant, connector_id: UUID, expected_version: int | None = None) -> Connector:
    """Let a machine go: its link ends, nothing of it is served any more, and its key may be claimed anew. What it did
    stays on record. Raises NotFound, PreconditionFailed."""
    with recorded("connector_change"):
        held = reach.connectors_held(grant)
        connector = units.row_lock(held, connector_id, expected_version=expected_version)
        return connector_let_go(connector=connector, actor=grant.principal)


def connector_let_go(*, connector: Connector, actor: audit.Actor, client_address: str | None = None) -> Connector:
    """Release a connector, by whoever may: an administrator, or the machine itself with its key."""
    with recorded("connector_change"):
        row = Connector.objects.select_for_update().get(id=connector.id)
        if row.released_at is not None:
            return row
        row.status, row.released_at = Status.DISABLED, datetime.now(UTC)
        row.version += 1
        row.save(update_fields=["status", "released_at", "version"])
        Location.objects.filter(instance__connector=row, is_shared=True).update(is_shared=False)
        Claim.objects.filter(connector=row).delete()
        audit.event_record(
            event_type=EventType.CONNECTOR_RELEASED,
            principal=actor,
            target_kind="connector",
            target_id=row.id,
            client_address=client_address,
            details={"label": row.label},
        )
        revocations.revocation_tell(revocations.Revoked.CONNECTOR, row.id)
    return row


def _locations_move(connector: Connector, *, before: UUID | None, target: Grant) -> None:
    rows = Location.objects.filter(organization_id=connector.organization_id, instance__connector=connector)
    if target.project_id is not None:
        served = Q(project_id=before) if before else Q(project__isnull=True)
        mapping.locations_map(rows.filter(served), target.project_id)
    if target.workspace_id is not None:
        within = Project.objects.filter(workspace_id=target.workspace_id).values("id")
        mapping.locations_map(rows.exclude(project_id__in=within), None)
    connector.instances.update(project=None, mapping_version=F("mapping_version") + 1)
    connector.version += 1
    connector.save(update_fields=["version"])
