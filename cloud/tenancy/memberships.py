"""Changing and removing members; an organization always keeps an owner.

People become members by invitation (`invitations`), or are put in by the installation. Tokens end with the membership
that holds them: at their next use, and, by a notification, where they are in use. Callers open the scope. Tests:
tests/integration/cloud/tenancy/test_memberships.py.
"""

from datetime import UTC, datetime
from uuid import UUID

from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.permissions.roles import Role
from cloud.tenancy import grants, posts, revocations, units
from cloud.tenancy.grants import Grant
from cloud.tenancy.models import Membership, Organization, Status
from cloud.tenancy.posts import Post
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


@grants.needs(Scope.MEMBERS_WRITE)
def membership_create(*, grant: Grant, user_id: UUID, post: Post) -> Membership:
    """Make a person with an account a member without asking them: for the installation, which knows accounts.

    Raises Forbidden, NotFound, InvalidTransition for an active member."""
    if grant.principal.kind != "system":
        raise errors.Forbidden("Invite people; only the installation puts them in.")
    posts.post_check(grant=grant, post=post)
    with recorded("tenancy_change"):
        return membership_put(organization_id=grant.organization_id, user_id=user_id, post=post, actor=grant.principal)


@grants.needs(Scope.MEMBERS_WRITE)
def membership_change(*, grant: Grant, membership_id: UUID, post: Post, expected_version: int | None) -> Membership:
    """Give a member another role or reach. Raises NotFound, Forbidden, PreconditionFailed, InvalidTransition for the
    last owner."""
    posts.post_check(grant=grant, post=post)
    with recorded("tenancy_change"):
        row = _held(grant, membership_id, expected_version)
        before = Post.of(row)
        if post.role is not Role.ORG_OWNER:
            _keep_an_owner(row)
        row.role, row.workspace_id, row.project_ids = post.role.value, post.workspace_id, _ids(post)
        row.version += 1
        row.save(update_fields=["role", "workspace", "project_ids", "version"])
        _tell(row, EventType.MEMBERSHIP_CHANGED, grant.principal, {"from": before.facts(), "to": post.facts()})
        revocations.revocation_tell(revocations.Revoked.MEMBERSHIP, row.id)
    return row


@grants.needs(Scope.MEMBERS_WRITE)
def membership_remove(*, grant: Grant, membership_id: UUID, expected_version: int | None) -> Membership:
    """End a membership and with it every token it holds (an administrator may adopt a service's).

    Raises NotFound, Forbidden, PreconditionFailed, InvalidTransition for the last owner."""
    with recorded("tenancy_change"):
        row = _held(grant, membership_id, expected_version)
        _keep_an_owner(row)
        row.status = Status.DISABLED
        row.version += 1
        row.save(update_fields=["status", "version"])
        _tell(row, EventType.MEMBERSHIP_REMOVED, grant.principal, Post.of(row).facts())
        revocations.revocation_tell(revocations.Revoked.MEMBERSHIP, row.id)
    return row


def membership_put(*, organization_id: UUID, user_id: UUID, post: Post, actor: audit.Actor) -> Membership:
    """The membership of somebody who has none, or had one; in the caller's transaction. Callers have checked the post.

    Raises InvalidTransition for an active member."""
    found, is_new = Membership.objects.select_for_update(no_key=True).get_or_create(
        organization_id=organization_id,
        user_id=user_id,
        defaults={"role": post.role.value, "workspace_id": post.workspace_id, "project_ids": _ids(post)},
    )
    if not is_new:
        if found.status == Status.ACTIVE:
            raise errors.InvalidTransition("This person is a member already; change their role instead.")
        found.role, found.workspace_id, found.project_ids = post.role.value, post.workspace_id, _ids(post)
        found.status, found.active_since = Status.ACTIVE, datetime.now(UTC)
        found.version += 1
        found.save()
    _tell(found, EventType.MEMBERSHIP_CREATED, actor, post.facts())
    return found


def _held(grant: Grant, membership_id: UUID, expected_version: int | None) -> Membership:
    # Locked first and by all: of two owners who remove each other at once, the second finds that one is left.
    Organization.objects.select_for_update(no_key=True).get(id=grant.organization_id)
    rows = Membership.objects.filter(organization_id=grant.organization_id, status=Status.ACTIVE)
    row = units.row_lock(rows.select_related("user"), membership_id, expected_version=expected_version)
    posts.holder_check(grant=grant, post=Post.of(row))
    return row


def _keep_an_owner(row: Membership) -> None:
    if row.role != Role.ORG_OWNER:
        return
    owners = Membership.objects.filter(
        organization_id=row.organization_id, role=Role.ORG_OWNER, status=Status.ACTIVE, user__is_active=True
    )
    if not owners.exclude(id=row.id).exists():
        raise errors.InvalidTransition("An organization keeps an owner; make somebody else one first.")


def _ids(post: Post) -> list[UUID] | None:
    return None if post.project_ids is None else sorted(set(post.project_ids))


def _tell(row: Membership, event_type: EventType, actor: audit.Actor, details: dict[str, object]) -> None:
    audit.event_record(
        event_type=event_type,
        principal=actor,
        organization_id=row.organization_id,
        target_kind="membership",
        target_id=row.id,
        details={"user_id": str(row.user_id), **details},
    )
