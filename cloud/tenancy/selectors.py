"""Reading tenancy. Callers open the scope, except where a function says that it opens its own.

Those with a grant show what is within its reach, and nothing else exists for it. Tests:
tests/integration/cloud/rest/test_people.py and test_units.py.
"""

from typing import TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from cloud.audit import selectors as audit
from cloud.permissions.roles import Role
from cloud.tenancy import grants, scope
from cloud.tenancy.grants import Grant
from cloud.tenancy.lifecycle import TenantStatus
from cloud.tenancy.models import Invitation, Membership, Organization, Project, Status, Workspace
from cloud.tenancy.pages import Page, page_of
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

M = TypeVar("M", bound=Model)


def organization_ids() -> list[UUID]:
    """Every organization's id, oldest first; for the installation's own upkeep. Opens the operator's scope."""
    with scope.operator():
        return list(Organization.objects.order_by("id").values_list("id", flat=True))


def audited_ids() -> list[UUID]:
    """Every organization's id, oldest first, then those of whom nothing but their audit is left, the installation's
    own chain among them. Opens the operator's scope."""
    existing = organization_ids()
    with scope.operator():
        left = set(audit.chain_ids()).difference(existing)
    return [*existing, *sorted(left)]


def memberships_of(user_id: UUID) -> list[Membership]:
    """A person's active memberships in active organizations, oldest first. Opens the operator's scope."""
    with scope.operator():
        found = Membership.objects.filter(
            user_id=user_id, status=Status.ACTIVE, organization__status=TenantStatus.ACTIVE
        ).select_related("organization")
        return list(found.order_by("id"))


def memberships_out_of_use(user_id: UUID) -> list[Membership]:
    """A person's active memberships in organizations that are suspended or deleted, oldest first: they are refused
    everywhere, and may know why. Opens the operator's scope."""
    with scope.operator():
        found = Membership.objects.filter(user_id=user_id, status=Status.ACTIVE)
        found = found.exclude(organization__status=TenantStatus.ACTIVE).select_related("organization")
        return list(found.order_by("id"))


def organizations(*, slug: str | None = None) -> list[Organization]:
    """Every organization, or the one of that slug, oldest first. Opens the operator's scope."""
    with scope.operator():
        found = Organization.objects.order_by("id")
        return list(found if slug is None else found.filter(slug=slug))


def organization_of_project(project_id: UUID) -> UUID | None:
    """Whose project it is; for the installation's operators. Opens the operator's scope."""
    with scope.operator():
        return Project.objects.filter(id=project_id).values_list("organization_id", flat=True).first()


def organization_find(organization_id: UUID) -> Organization:
    """The organization in scope: whoever has a credential of it may know what it is called."""
    return Organization.objects.get(id=organization_id)


@grants.needs(Scope.ORGANIZATION_READ)
def organization_get(*, grant: Grant) -> Organization:
    """The grant's organization."""
    return Organization.objects.get(id=grant.organization_id)


@grants.needs(Scope.WORKSPACES_READ)
def workspace_page(
    *,
    grant: Grant,
    status: TenantStatus | None = None,
    search: str = "",
    limit: int = 50,
    after: UUID | None = None,
) -> Page[Workspace]:
    """Workspaces, of any status unless one is named; those whose name or slug holds `search`."""
    rows = workspaces_within_reach(grant)
    if status is not None:
        rows = rows.filter(status=status)
    return page_of(_searched(rows, search), limit=limit, after=after)


@grants.needs(Scope.WORKSPACES_READ)
def workspace_get(*, grant: Grant, workspace_id: UUID) -> Workspace:
    """One workspace. Raises NotFound."""
    return _one(workspaces_within_reach(grant), workspace_id)


@grants.needs(Scope.PROJECTS_READ)
def project_page(
    *,
    grant: Grant,
    workspace_id: UUID | None = None,
    status: TenantStatus | None = None,
    search: str = "",
    limit: int = 50,
    after: UUID | None = None,
) -> Page[Project]:
    """Projects with their workspaces, of any status unless one is named; those whose name or slug holds `search`."""
    rows = projects_within_reach(grant)
    if workspace_id is not None:
        rows = rows.filter(workspace_id=workspace_id)
    if status is not None:
        rows = rows.filter(status=status)
    return page_of(_searched(rows, search), limit=limit, after=after)


@grants.needs(Scope.PROJECTS_READ)
def project_get(*, grant: Grant, project_id: UUID) -> Project:
    """One project with its workspace. Raises NotFound."""
    return _one(projects_within_reach(grant), project_id)


@grants.needs(Scope.MEMBERS_READ)
def membership_page(
    *,
    grant: Grant,
    role: Role | None = None,
    status: Status | None = Status.ACTIVE,
    search: str = "",
    limit: int = 50,
    after: UUID | None = None,
) -> Page[Membership]:
    """Members with their accounts; active ones unless another status (None: any) is named."""
    rows = members_within_reach(grant)
    if role is not None:
        rows = rows.filter(role=role)
    if status is not None:
        rows = rows.filter(status=status)
    if search:
        rows = rows.filter(Q(user__email__icontains=search) | Q(user__full_name__icontains=search))
    return page_of(rows, limit=limit, after=after)


@grants.needs(Scope.MEMBERS_READ)
def membership_get(*, grant: Grant, membership_id: UUID) -> Membership:
    """One member with their account. Raises NotFound."""
    return _one(members_within_reach(grant), membership_id)


@grants.needs(Scope.MEMBERS_READ)
def invitation_page(
    *, grant: Grant, open_only: bool = False, limit: int = 50, after: UUID | None = None
) -> Page[Invitation]:
    """Invitations, those that wait to be accepted only if asked; an expired one is not open but may be sent again."""
    rows = invitations_within_reach(grant)
    if open_only:
        rows = rows.filter(accepted_at=None, revoked_at=None)
    return page_of(rows, limit=limit, after=after)


@grants.needs(Scope.MEMBERS_READ)
def invitation_get(*, grant: Grant, invitation_id: UUID) -> Invitation:
    """One invitation, without its link. Raises NotFound."""
    return _one(invitations_within_reach(grant), invitation_id)


def workspaces_within_reach(grant: Grant) -> QuerySet[Workspace]:
    """Workspaces that the grant's principal reaches as a whole."""
    rows = Workspace.objects.filter(organization_id=grant.organization_id)
    if grants.reaches_everything(grant.principal):
        return rows
    return rows.filter(id=grant.principal.workspace_id) if grant.principal.workspace_id else rows.none()


def projects_within_reach(grant: Grant) -> QuerySet[Project]:
    """Projects within the grant's reach, with their workspaces; of any status."""
    rows = Project.objects.filter(organization_id=grant.organization_id).select_related("workspace")
    who = grant.principal
    if grants.reaches_everything(who):
        return rows
    within = Q(id__in=who.project_ids or ())
    return rows.filter(within | Q(workspace_id=who.workspace_id) if who.workspace_id else within)


def members_within_reach(grant: Grant) -> QuerySet[Membership]:
    """Members, with their accounts, whose own reach lies within the grant's."""
    rows = Membership.objects.filter(organization_id=grant.organization_id).select_related("user", "workspace")
    return _within_reach(rows, grant)


def invitations_within_reach(grant: Grant) -> QuerySet[Invitation]:
    """Invitations to what lies within the grant's reach."""
    return _within_reach(Invitation.objects.filter(organization_id=grant.organization_id), grant)


def _within_reach(rows: QuerySet[M], grant: Grant) -> QuerySet[M]:
    """Members and invitations whose reach lies within the grant's."""
    who = grant.principal
    if grants.reaches_everything(who):
        return rows
    within = Q(project_ids__contained_by=sorted(who.project_ids or ()))
    return rows.filter(within | Q(workspace_id=who.workspace_id) if who.workspace_id else within)


def _one(rows: QuerySet[M], row_id: UUID) -> M:
    found = rows.filter(id=row_id).first()
    if found is None:
        raise errors.NotFound
    return found


def _searched(rows: QuerySet[M], search: str) -> QuerySet[M]:
    return rows.filter(Q(name__icontains=search) | Q(slug__icontains=search)) if search else rows
