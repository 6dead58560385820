"""What a person is or shall be: a role, and where it holds. And who may make them that.

One rule: nobody gives, changes or takes away more than they have, neither in rights nor in reach. Called by
`memberships`, `invitations` and `password_links`, in the organization's open scope. Tests:
tests/integration/cloud/tenancy/test_memberships.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from cloud.permissions import matrix
from cloud.permissions.roles import Role
from cloud.tenancy import grants
from cloud.tenancy.grants import Grant, Grantee
from cloud.tenancy.models import Membership, Project, Reach, Workspace
from local_daemon.protocol import errors, limits

_OF_THE_WHOLE = frozenset({Role.ORG_OWNER, Role.ORG_ADMIN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A role in the whole organization, in one workspace, or in some projects."""

    role: Role
    workspace_id: UUID | None = None
    project_ids: Sequence[UUID] | None = None

    @classmethod
    def of(cls, row: Reach) -> "Post":
        """The post that a row holds."""
        return cls(role=Role(row.role), workspace_id=row.workspace_id, project_ids=row.project_ids)

    def facts(self) -> dict[str, object]:
        """For the audit."""
        return {
            "role": self.role.value,
            "workspace_id": str(self.workspace_id) if self.workspace_id else None,
            "project_ids": [str(project_id) for project_id in self.project_ids] if self.project_ids else None,
        }


def post_check(*, grant: Grant, post: Post) -> None:
    """Raise Forbidden for more than the grant's principal has, NotFound for a place out of reach, InvalidRequest for a
    role that does not hold there."""
    _check_shape(post)
    if not matrix.may_give(grant.principal.scopes, post.role):
        raise errors.Forbidden("Nobody can make another person more than they are.", role=post.role.value)
    if post.workspace_id is None and post.project_ids is None:
        grants.whole_organization(grant)
    if not is_within_reach(grant.principal, post) or not _is_there(grant.organization_id, post):
        raise errors.NotFound


def holder_check(*, grant: Grant, post: Post) -> None:
    """Raise NotFound when a holder of the post is out of the grant's reach, Forbidden when they are more than its
    principal is."""
    if not is_within_reach(grant.principal, post):
        raise errors.NotFound
    if not matrix.may_give(grant.principal.scopes, post.role):
        raise errors.Forbidden("Nobody can change a person who is more than they are.", role=post.role.value)


def is_within_reach(who: Grantee, post: Post) -> bool:
    """Whether they reach everything that the post reaches."""
    if grants.reaches_everything(who):
        return True
    if post.project_ids is not None:
        return who.project_ids is not None and who.project_ids.issuperset(post.project_ids)
    return grants.reaches_workspace(who, post.workspace_id)


def could_give(member: Membership, post: Post) -> bool:
    """Whether a member is what it takes to give the post, for what they made and others use later."""
    if not matrix.may_give(matrix.scopes_of(Role(member.role)), post.role):
        return False
    if member.workspace_id is None or post.workspace_id == member.workspace_id:
        return member.project_ids is None
    within = Project.objects.filter(workspace_id=member.workspace_id, id__in=post.project_ids or [])
    return post.project_ids is not None and within.count() == len(post.project_ids)


def _check_shape(post: Post) -> None:
    if post.workspace_id is not None and post.project_ids is not None:
        raise errors.InvalidRequest("Name a workspace or projects, not both.")
    if post.role in _OF_THE_WHOLE and (post.workspace_id is not None or post.project_ids is not None):
        raise errors.InvalidRequest(f"The role {post.role} holds in the whole organization.")
    if post.role is Role.WORKSPACE_ADMIN and post.workspace_id is None:
        raise errors.InvalidRequest(f"Name the workspace of a {post.role}.")
    if post.project_ids is not None and not 0 < len(set(post.project_ids)) <= limits.LIST_ITEMS:
        raise errors.InvalidRequest(f"Name 1 to {limits.LIST_ITEMS} projects.")


def _is_there(organization_id: UUID, post: Post) -> bool:
    if post.workspace_id is not None:
        return Workspace.objects.filter(organization_id=organization_id, id=post.workspace_id).exists()
    if post.project_ids is not None:
        wanted = set(post.project_ids)
        return Project.objects.filter(organization_id=organization_id, id__in=wanted).count() == len(wanted)
    return True
