"""Making and changing projects: by who reaches their workspace, in the organization's open scope.

Where a project is on machines, and so the list of projects that planners see, is `cloud.connectors`. Tests:
tests/integration/cloud/tenancy/test_units.py.
"""

from uuid import UUID

from cloud.tenancy import grants, units
from cloud.tenancy.grants import Grant
from cloud.tenancy.lifecycle import TenantEvent, TenantStatus
from cloud.tenancy.models import Project, Workspace
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


@grants.needs(Scope.PROJECTS_WRITE)
def project_create(*, grant: Grant, workspace_id: UUID, name: str, slug: str | None = None) -> Project:
    """A new project in an active workspace. Raises NotFound, InvalidRequest for a slug that is taken."""
    kept = units.name_checked(name)
    if not grants.reaches_workspace(grant.principal, workspace_id):
        raise errors.NotFound
    row = Project(
        organization_id=grant.organization_id,
        workspace_id=workspace_id,
        name=kept,
        slug=units.slug_checked(slug) if slug else units.slug_of(kept),
    )
    with recorded("tenancy_change"):
        active = Workspace.objects.filter(organization_id=grant.organization_id, status=TenantStatus.ACTIVE)
        # Locked: who suspends the workspace meanwhile sees this project, or comes first.
        units.row_lock(active, workspace_id, expected_version=None)
        return units.unit_create(row, actor=grant.principal)


@grants.needs(Scope.PROJECTS_WRITE)
def project_update(
    *, grant: Grant, project_id: UUID, name: str | None = None, slug: str | None = None, expected_version: int | None
) -> Project:
    """Another name or slug. Raises NotFound, PreconditionFailed, InvalidRequest."""
    with recorded("tenancy_change"):
        row = _locked(grant, project_id, expected_version)
        return units.unit_update(row, name=name, slug=slug, actor=grant.principal)


@grants.needs(Scope.PROJECTS_WRITE)
def project_suspend(*, grant: Grant, project_id: UUID, expected_version: int | None) -> Project:
    """Refuse every call in it until it is resumed. Raises NotFound, InvalidTransition."""
    return _advanced(grant, project_id, TenantEvent.SUSPEND, expected_version)


@grants.needs(Scope.PROJECTS_WRITE)
def project_resume(*, grant: Grant, project_id: UUID, expected_version: int | None) -> Project:
    """Take it into use again, also while it waits to be purged. Raises NotFound."""
    return _advanced(grant, project_id, TenantEvent.RESUME, expected_version)


@grants.needs(Scope.PROJECTS_WRITE)
def project_delete(*, grant: Grant, project_id: UUID, expected_version: int | None) -> Project:
    """Refuse every call in it from now on, and purge it when `units.GRACE` is over. Raises NotFound."""
    return _advanced(grant, project_id, TenantEvent.DELETE, expected_version)


def _advanced(grant: Grant, project_id: UUID, event: TenantEvent, expected_version: int | None) -> Project:
    with recorded("tenancy_change"):
        return units.unit_advance(_locked(grant, project_id, expected_version), event, actor=grant.principal)


def _locked(grant: Grant, project_id: UUID, expected_version: int | None) -> Project:
    rows = Project.objects.filter(organization_id=grant.organization_id)
    row = units.row_lock(rows, project_id, expected_version=expected_version)
    if not grants.reaches_project(grant.principal, project_id=row.id, workspace_id=row.workspace_id):
        raise errors.NotFound
    return row
