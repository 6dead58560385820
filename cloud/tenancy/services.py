"""Making sure that organizations, workspaces, projects and memberships are there: for a bootstrap.

People and programs use `organizations`, `workspaces`, `projects`, `memberships` and `invitations`. Each is idempotent
by its natural key, so that a bootstrap may be repeated. Callers open the scope; `organization_ensure` opens its own,
because there is none before it. Tests: tests/integration/cloud/tenancy/test_services.py.
"""

from uuid import UUID

from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.permissions.roles import Role
from cloud.tenancy import scope, units
from cloud.tenancy.lifecycle import TenantStatus
from cloud.tenancy.models import Membership, Organization, Project, Workspace
from cloud.tenancy.transaction import recorded


def organization_ensure(*, name: str) -> tuple[Organization, bool]:
    """The organization of that name, and whether it was made now."""
    with scope.operator(), recorded("organization_ensure"):
        found, is_new = Organization.objects.get_or_create(slug=units.slug_of(name), defaults={"name": name})
        if is_new:
            audit.event_record(
                event_type=EventType.ORGANIZATION_CREATED,
                principal=None,
                organization_id=found.id,
                target_kind="organization",
                target_id=found.id,
                details={"slug": found.slug},
            )
    return found, is_new


def workspace_ensure(*, organization_id: UUID, name: str, actor: audit.Actor | None) -> tuple[Workspace, bool]:
    """The workspace of that name, and whether it was made now."""
    with recorded("workspace_ensure"):
        found, is_new = Workspace.objects.get_or_create(
            organization_id=organization_id, slug=units.slug_of(name), defaults={"name": name}
        )
        if is_new:
            audit.event_record(
                event_type=EventType.WORKSPACE_CREATED,
                principal=actor,
                organization_id=organization_id,
                target_kind="workspace",
                target_id=found.id,
                details={"slug": found.slug},
            )
    return found, is_new


def project_ensure(*, workspace: Workspace, name: str, actor: audit.Actor | None) -> tuple[Project, bool]:
    """The project of that name in the workspace, and whether it was made now."""
    with recorded("project_ensure"):
        found, is_new = Project.objects.get_or_create(
            workspace=workspace,
            slug=units.slug_of(name),
            defaults={
                "name": name,
                "organization_id": workspace.organization_id,
                "is_workspace_active": workspace.status == TenantStatus.ACTIVE,
            },
        )
        if is_new:
            audit.event_record(
                event_type=EventType.PROJECT_CREATED,
                principal=actor,
                organization_id=workspace.organization_id,
                target_kind="project",
                target_id=found.id,
                project_id=found.id,
                details={"slug": found.slug},
            )
    return found, is_new


def membership_ensure(
    *, organization_id: UUID, user_id: UUID, role: Role, actor: audit.Actor | None
) -> tuple[Membership, bool]:
    """The person's membership in the whole organization, and whether it was made now; an existing role is kept."""
    with recorded("membership_ensure"):
        found, is_new = Membership.objects.get_or_create(
            organization_id=organization_id, user_id=user_id, defaults={"role": role}
        )
        if is_new:
            audit.event_record(
                event_type=EventType.MEMBERSHIP_CREATED,
                principal=actor,
                organization_id=organization_id,
                target_kind="membership",
                target_id=found.id,
                details={"role": role},
            )
    return found, is_new
