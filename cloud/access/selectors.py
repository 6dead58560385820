"""Reading access: who a signed-in person is in an organization, and which tokens there are.

Tests: tests/integration/cloud/access/.
"""

from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from django.db.models import F, Q, QuerySet

from cloud.access import lines
from cloud.access.models import Token, TokenKind
from cloud.access.principals import Grant, Principal, PrincipalKind
from cloud.accounts.models import User
from cloud.permissions import matrix
from cloud.permissions.roles import Role
from cloud.tenancy import grants
from cloud.tenancy.models import Membership, Project, Status
from cloud.tenancy.pages import Page, page_of
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


def user_principal(user: User, *, organization_id: UUID) -> Principal:
    """The person, in that organization and its open scope, by their membership; an operator of the installation may do
    everything. Raises Forbidden for somebody who is no active member."""
    if user.is_superuser:
        return _of(user, organization_id, scopes=frozenset(Scope))
    member = Membership.objects.filter(user_id=user.id, organization_id=organization_id, status=Status.ACTIVE).first()
    if member is None:
        raise errors.Forbidden("You are not a member of this organization.")
    return member_principal(user, member)


def member_principal(user: User, member: Membership) -> Principal:
    """The person as a member; one query where they are bound to a workspace."""
    reach = member.project_ids
    if member.workspace_id is not None:
        within = Project.objects.filter(organization_id=member.organization_id, workspace_id=member.workspace_id)
        reach = list(within.values_list("id", flat=True))
    return _of(
        user,
        member.organization_id,
        scopes=matrix.scopes_of(Role(member.role)),
        project_ids=None if reach is None else frozenset(reach),
        workspace_id=member.workspace_id,
        membership_id=member.id,
    )


def _of(
    user: User,
    organization_id: UUID,
    *,
    scopes: frozenset[Scope],
    project_ids: frozenset[UUID] | None = None,
    workspace_id: UUID | None = None,
    membership_id: UUID | None = None,
) -> Principal:
    return Principal(
        kind=PrincipalKind.USER,
        id=user.id,
        organization_id=organization_id,
        label=user.email,
        scopes=scopes,
        project_ids=project_ids,
        workspace_id=workspace_id,
        membership_id=membership_id,
    )


class TokenState(StrEnum):
    """Whether a token works, as far as it itself says."""

    ACTIVE = "active"  # it does
    EXPIRED = "expired"  # its time is over
    REVOKED = "revoked"  # somebody ended it
    ORPHANED = "orphaned"  # its holder is no member any more; a service's can be adopted


def token_state(token: Token, *, now: datetime) -> TokenState:
    """What a token is now; of a row that was selected with its membership."""
    if token.revoked_at is not None:
        return TokenState.REVOKED
    if token.expires_at is not None and token.expires_at <= now:
        return TokenState.EXPIRED
    member = token.membership
    if member is not None and (member.status != Status.ACTIVE or token.held_since < member.active_since):
        return TokenState.ORPHANED
    return TokenState.ACTIVE


def token_speaks(token_id: UUID, *, now: datetime) -> Principal | None:
    """Whom a token speaks for now, for what goes on in its name: itself, or the one that took its place. None: it has
    ended, or its holder is no member any more."""
    subject = lines.line_of(token_id)[0]
    series = Token.objects.filter(Q(id=subject) | Q(counted_as=subject)).select_related("membership__user")
    for token in series.order_by("-created_at"):
        if token.membership is None or not token.membership.user.is_active:
            continue
        if token_state(token, now=now) is TokenState.ACTIVE:
            return _token_principal(token, member_principal(token.membership.user, token.membership))
    return None


def _token_principal(token: Token, holder: Principal) -> Principal:
    """Clamped to its holder, as `authentication` does."""
    scopes = holder.scopes & frozenset(Scope(word) for word in token.scopes)
    reach = holder.project_ids
    if token.project_ids is not None:
        reach = frozenset(token.project_ids) if reach is None else reach.intersection(token.project_ids)
    return Principal(
        kind=PrincipalKind.TOKEN,
        id=token.id,
        organization_id=token.organization_id,
        label=token.name,
        scopes=scopes & matrix.PLANNER_SCOPES if token.kind == TokenKind.PLANNER else scopes,
        project_ids=reach,
        workspace_id=holder.workspace_id if token.project_ids is None else None,
        membership_id=holder.membership_id,
        expires_at=token.expires_at,
    )


@grants.needs(Scope.TOKENS_READ)
def token_list(*, grant: Grant) -> list[Token]:
    """The tokens that the grant's principal may see, oldest first."""
    return list(tokens_within_reach(grant).order_by("id"))


@grants.needs(Scope.TOKENS_READ)
def token_page(
    *,
    grant: Grant,
    kind: TokenKind | None = None,
    state: TokenState | None = None,
    membership_id: UUID | None = None,
    search: str = "",
    limit: int = 50,
    after: UUID | None = None,
) -> Page[Token]:
    """Tokens with their holders, of any state unless one is named; those whose name or prefix holds `search`."""
    rows = tokens_within_reach(grant).select_related("membership__user")
    if kind is not None:
        rows = rows.filter(kind=kind)
    if state is not None:
        rows = rows.filter(_in_state(state, datetime.now(UTC)))
    if membership_id is not None:
        rows = rows.filter(membership_id=membership_id)
    if search:
        rows = rows.filter(Q(name__icontains=search) | Q(prefix__startswith=search))
    return page_of(rows, limit=limit, after=after)


@grants.needs(Scope.TOKENS_READ)
def token_get(*, grant: Grant, token_id: UUID) -> Token:
    """One token with its holder. Raises NotFound."""
    token = tokens_within_reach(grant).select_related("membership__user").filter(id=token_id).first()
    if token is None:
        raise errors.NotFound
    return token


def tokens_within_reach(grant: Grant) -> QuerySet[Token]:
    """Everyone's for who administers members of the whole organization, else only one's own."""
    principal = grant.principal
    tokens = Token.objects.filter(organization_id=grant.organization_id)
    if sees_all_tokens(principal):
        return tokens
    own = Q(id=principal.id) if principal.kind == PrincipalKind.TOKEN else Q(pk__in=[])
    if principal.membership_id is not None:
        own |= Q(membership_id=principal.membership_id)
    return tokens.filter(own)


def sees_all_tokens(principal: Principal) -> bool:
    """Whether everyone's are within their reach, not only their own."""
    return Scope.MEMBERS_WRITE in principal.scopes and grants.reaches_everything(principal)


def _in_state(state: TokenState, now: datetime) -> Q:
    """As `token_state`, of a row that is not read yet."""
    expired = Q(expires_at__isnull=False, expires_at__lte=now)
    orphaned = Q(membership__isnull=False) & (
        ~Q(membership__status=Status.ACTIVE) | Q(held_since__lt=F("membership__active_since"))
    )
    revoked = Q(revoked_at__isnull=False)
    conditions = {
        TokenState.REVOKED: revoked,
        TokenState.EXPIRED: ~revoked & expired,
        TokenState.ORPHANED: ~revoked & ~expired & orphaned,
        TokenState.ACTIVE: ~revoked & ~expired & ~orphaned,
    }
    return conditions[state]
