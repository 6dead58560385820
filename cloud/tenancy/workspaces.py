"""Making and changing workspaces: by who reaches the whole organization, in its open scope.

Tests: tests/integration/cloud/tenancy/test_units.py.
"""

from uuid import UUID

from cloud.tenancy import grants, units
from cloud.tenancy.grants import Grant
from cloud.tenancy.lifecycle import TenantEvent, TenantStatus
from cloud.tenancy.models import Project, Workspace
from cloud.tenancy.transaction import recorded
from local_daemon.protocol.scopes import Scope


@grants.needs(Scope.WORKSPACES_WRITE)
def workspace_create(*, grant: Grant, name: str, slug: str | None = None) -> Workspace:
    """A new workspace. Raises InvalidRequest for a slug that is taken."""
    grants.whole_organization(grant)
    kept = units.name_checked(name)
    row = Workspace(
        organization_id=grant.organization_id,
        name=kept,
        slug=units.slug_checked(slug) if slug else units.slug_of(kept),
    )
    with recorded("tenancy_change"):
        return units.unit_create(row, actor=grant.principal)


@grants.needs(Scope.WORKSPACES_WRITE)
def workspace_update(
    *, grant: Grant, workspace_id: UUID, name: str | None = None, slug: str | None = None, expected_version: int | None
) -> Workspace:
    """Another name or slug. Raises NotFound, PreconditionFailed, InvalidRequest."""
    with recorded("tenancy_change"):
        row = _locked(grant, workspace_id, expected_version)
        return units.unit_update(row, name=name, slug=slug, actor=grant.principal)


@grants.needs(Scope.WORKSPACES_WRITE)
def workspace_suspend(*, grant: Grant, workspace_id: UUID, expected_version: int | None) -> Workspace:
    """Refuse everything in its projects until it is resumed. Raises NotFound, InvalidTransition."""
    return _advanced(grant, workspace_id, TenantEvent.SUSPEND, expected_version)


@grants.needs(Scope.WORKSPACES_WRITE)
def workspace_resume(*, grant: Grant, workspace_id: UUID, expected_version: int | None) -> Workspace:
    """Take it into use again, also while it waits to be purged. Raises NotFound."""
    return _advanced(grant, workspace_id, TenantEvent.RESUME, expected_version)


@grants.needs(Scope.WORKSPACES_WRITE)
def workspace_delete(*, grant: Grant, workspace_id: UUID, expected_version: int | None) -> Workspace:
    """Refuse everything in its projects from now on, and purge them when `units.GRACE` is over. Raises NotFound."""
    return _advanced(grant, workspace_id, TenantEvent.DELETE, expected_version)


def _advanced(grant: Grant, workspace_id: UUID, event: TenantEvent, expected_version: int | None) -> Workspace:
    with recorded("tenancy_change"):
        row = units.unit_advance(_locked(grant, workspace_id, expected_version), event, actor=grant.principal)
        Project.objects.filter(workspace=row).update(is_workspace_active=row.status == TenantStatus.ACTIVE)
    return row


def _locked(grant: Grant, workspace_id: UUID, expected_version: int | None) -> Workspace:
    grants.whole_organization(grant)
    rows = Workspace.objects.filter(organization_id=grant.organization_id)
    return units.row_lock(rows, workspace_id, expected_version=expected_version)
