"""A tenant and its members as tests have them; the fixtures that make some for one test are in conftest."""

from dataclasses import dataclass
from uuid import UUID

from cloud.access.principals import Principal, PrincipalKind
from cloud.accounts.models import User
from cloud.permissions import matrix
from cloud.permissions.roles import Role
from cloud.tenancy import scope, services
from cloud.tenancy.models import Membership, Organization, Project, Workspace
from local_daemon.protocol import ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An organization with a workspace and a project in it."""

    organization: Organization
    workspace: Workspace
    project: Project

    @property
    def id(self) -> UUID:
        return self.organization.id

    def principal(
        self,
        role: Role = Role.ORG_OWNER,
        *,
        project_ids: frozenset[UUID] | None = None,
        kind: PrincipalKind = PrincipalKind.TOKEN,
    ) -> Principal:
        """A caller with that role's scopes, without a row of a token or membership (so a token mints none)."""
        return Principal(
            kind=kind,
            id=ids.new_uuid7(),
            organization_id=self.id,
            label=role,
            scopes=matrix.scopes_of(role),
            project_ids=project_ids,
        )


def tenant_make(name: str) -> Tenant:
    """A tenant by name."""
    organization, _ = services.organization_ensure(name=name)
    with scope.organization(organization.id):
        workspace, _ = services.workspace_ensure(organization_id=organization.id, name="main", actor=None)
        project, _ = services.project_ensure(workspace=workspace, name=f"{name} project", actor=None)
    return Tenant(organization=organization, workspace=workspace, project=project)


def member_make(
    tenant: Tenant, role: Role, *, workspace: Workspace | None = None, project: Project | None = None
) -> Membership:
    """A person with a role in a tenant, or in one workspace or project of it."""
    user = User.objects.create_user(f"{role}-{User.objects.count()}@example.com", "a long password", is_staff=True)
    with scope.organization(tenant.id):
        return Membership.objects.create(
            organization=tenant.organization,
            user=user,
            role=role,
            workspace=None if project else workspace,
            project_ids=[project.id] if project else None,
        )
