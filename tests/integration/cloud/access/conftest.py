"""Members and their tokens."""

from collections.abc import Callable

import pytest

from cloud.access import authorization, selectors, services
from cloud.access.models import Token
from cloud.accounts.models import User
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from cloud.tenancy.models import Membership, Project, Workspace
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.tenants import Tenant

MakeMember = Callable[..., Membership]
MakeToken = Callable[..., tuple[Token, str]]


@pytest.fixture
def make_member(db: None) -> MakeMember:
    """A person with a role in a tenant, or in one workspace or project of it."""

    def make(
        tenant: Tenant, role: Role, *, workspace: Workspace | None = None, project: Project | None = None
    ) -> Membership:
        user = User.objects.create_user(f"{role}-{User.objects.count()}@example.com", "a long password", is_staff=True)
        return Membership.objects.create(
            organization=tenant.organization, user=user, role=role, workspace=workspace, project=project
        )

    return make


@pytest.fixture
def make_token(db: None) -> MakeToken:
    """A member's token with all that the member may do, or only some of it."""

    def make(member: Membership, *scopes: Scope, **facts: object) -> tuple[Token, str]:
        with scope.organization(member.organization_id):
            maker = selectors.user_principal(member.user, organization_id=member.organization_id)
            grant = authorization.authorize(maker, Scope.TOKENS_WRITE)
            return services.token_mint(grant=grant, name="planner", scopes=scopes or maker.scopes, **facts)  # type: ignore[arg-type]

    return make
