"""A tenant as tests have it; the fixtures that make some are in conftest."""

from dataclasses import dataclass
from uuid import UUID

from cloud.access.principals import Principal, PrincipalKind
from cloud.permissions import matrix
from cloud.permissions.roles import Role
from cloud.tenancy.models import Organization, Project, Workspace
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
