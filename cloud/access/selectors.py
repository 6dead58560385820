"""Reading access: who a signed-in person is in an organization. Tests: tests/integration/cloud/access/."""

from uuid import UUID

from django.db.models import Q, QuerySet

from cloud.access.models import Token
from cloud.access.principals import Grant, Principal, PrincipalKind
from cloud.accounts.models import User
from cloud.permissions import matrix
from cloud.permissions.roles import Role
from cloud.tenancy.models import Membership, Project, Status
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


def user_principal(user: User, *, organization_id: UUID) -> Principal:
    """The person, in that organization and its open scope, by their widest membership; an operator of the installation
    may do everything. Raises Forbidden for somebody who is no active member."""
    if user.is_superuser:
        return _of(user, organization_id, scopes=frozenset(Scope))
    memberships = Membership.objects.filter(user_id=user.id, organization_id=organization_id, status=Status.ACTIVE)
    # The whole organization first, then a workspace, then a project.
    widest = sorted(memberships, key=lambda row: (row.project_id is not None, row.workspace_id is not None, row.id))
    if not widest:
        raise errors.Forbidden("You are not a member of this organization.")
    membership = widest[0]
    project_ids = None
    if membership.project_id is not None:
        project_ids = frozenset({membership.project_id})
    elif membership.workspace_id is not None:
        within = Project.objects.filter(organization_id=organization_id, workspace_id=membership.workspace_id)
        project_ids = frozenset(within.values_list("id", flat=True))
    scopes = matrix.scopes_of(Role(membership.role))
    return _of(user, organization_id, scopes=scopes, project_ids=project_ids, membership_id=membership.id)


def _of(
    user: User,
    organization_id: UUID,
    *,
    scopes: frozenset[Scope],
    project_ids: frozenset[UUID] | None = None,
    membership_id: UUID | None = None,
) -> Principal:
    return Principal(
        kind=PrincipalKind.USER,
        id=user.id,
        organization_id=organization_id,
        label=user.email,
        scopes=scopes,
        project_ids=project_ids,
        membership_id=membership_id,
    )


def token_list(*, grant: Grant) -> list[Token]:
    """The tokens that the grant's principal may see, oldest first."""
    return list(tokens_within_reach(grant).order_by("id"))


def tokens_within_reach(grant: Grant) -> QuerySet[Token]:
    """Everyone's for who administers members of the whole organization, else only one's own."""
    principal = grant.principal
    tokens = Token.objects.filter(organization_id=grant.organization_id)
    if Scope.MEMBERS_WRITE in principal.scopes and principal.project_ids is None:
        return tokens
    own = Q(id=principal.id) if principal.kind == PrincipalKind.TOKEN else Q(pk__in=[])
    if principal.membership_id is not None:
        own |= Q(membership_id=principal.membership_id)
    return tokens.filter(own)
