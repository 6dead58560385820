"""A new password by a link that works once, for somebody who forgot theirs: made as invitations are, and told once.

Whoever has the link becomes that person wherever they sign in. So an administrator makes one only for who is a member
of their organization and of no other, and is no more than they are themselves; to others an operator of the
installation gives another password. Deliberately keeps nothing: a link is signed, and ends with the password that it
replaces, with the next sign-in, with another post of its person, when its maker could not make it any more, or after
TTL. Those who make one call in their organization's open scope. Tests:
tests/integration/cloud/tenancy/test_password_links.py.
"""

import contextvars
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator

from cloud.accounts import services as accounts
from cloud.accounts.models import User
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.tenancy import grants, posts, scope, selectors
from cloud.tenancy.actors import PersonActor
from cloud.tenancy.grants import Grant
from cloud.tenancy.models import Membership, Status
from cloud.tenancy.posts import Post
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

TTL = timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)
_BY_OPERATORS = "Only an operator of this installation can give this person another password."
_GONE = "This link is over; ask for a new one."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """Whose password, as whom, and who made it: a membership, or an operator of the installation."""

    user: User
    member: Membership
    maker: Membership | User


class _Links(PasswordResetTokenGenerator):
    """Signatures that nothing else of Django's takes."""

    key_salt = "cloud.tenancy.password_links"

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        """Of a _Link: another post of its person ends it, and its maker's leaving, even if they come back."""
        link: _Link = user
        since = link.maker.active_since if isinstance(link.maker, Membership) else ""
        signed = f"{link.member.id}{link.member.version}{link.maker.id}{since}"
        return super()._make_hash_value(link.user, timestamp) + signed


_links: Any = _Links()


@grants.needs(Scope.MEMBERS_WRITE)
def password_link_create(*, grant: Grant, membership_id: UUID) -> tuple[User, str]:
    """Whose password it is, and the secret of the link, which is shown this once.

    Raises NotFound, Forbidden for who is more than the grant's principal, or somebody elsewhere too, and for who is no
    person whose rights can be looked up when it is used."""
    rows = Membership.objects.filter(organization_id=grant.organization_id, status=Status.ACTIVE)
    row = rows.filter(id=membership_id).select_related("user").first()
    if row is None:
        raise errors.NotFound
    posts.holder_check(grant=grant, post=Post.of(row))
    if not _may_be_changed(row.user):
        raise errors.Forbidden(_BY_OPERATORS)
    maker = _maker(grant.organization_id, grant.principal.membership_id or grant.principal.id)
    if maker is None:
        raise errors.Forbidden("Only a person makes such a link.")
    with recorded("tenancy_change"):
        audit.event_record(
            event_type=EventType.USER_PASSWORD_LINK_MADE,
            principal=grant.principal,
            organization_id=grant.organization_id,
            target_kind="user",
            target_id=row.user.id,
            details={"email": row.user.email},
        )
    token = _links.make_token(_Link(user=row.user, member=row, maker=maker))
    return row.user, f"{row.id.hex}-{maker.id.hex}-{token}"


def password_link_look(*, secret: str) -> User:
    """Whose password a link replaces, to show before it does. Raises Expired."""
    return _opened(secret).user


def password_link_use(*, secret: str, password: str) -> User:
    """Give them that password. Raises Expired, InvalidRequest for a weak one."""
    with recorded("tenancy_change"):
        link = _opened(secret, is_used=True)
        accounts.password_set(user=link.user, password=password)
        contextvars.Context().run(_tell_used, link)
    return link.user


def _opened(secret: str, *, is_used: bool = False) -> _Link:
    try:
        name, made_by, token = secret.split("-", 2)
        member_id, maker_id = UUID(hex=name), UUID(hex=made_by)
    except ValueError:
        raise errors.Expired(_GONE) from None
    # In a context of its own: whoever follows it may be signed in elsewhere.
    link = contextvars.Context().run(_found, member_id, maker_id, is_used=is_used)
    if link is None or not _links.check_token(link, token) or not _may_be_changed(link.user):
        raise errors.Expired(_GONE)
    return link


def _found(member_id: UUID, maker_id: UUID, *, is_used: bool) -> _Link | None:
    """What a link says, if its maker could still make it; opens the scopes it needs."""
    with scope.operator():
        facts = Membership.objects.filter(id=member_id).values_list("organization_id", "user_id").first()
    if facts is None:
        return None
    organization_id, user_id = facts
    with scope.organization(organization_id):
        # Locked for who uses it: of two at once the second finds another password, and so no link.
        rows = User.objects.select_for_update() if is_used else User.objects.all()
        user = rows.filter(id=user_id).first()
        member = Membership.objects.filter(id=member_id, status=Status.ACTIVE).first()
        maker = _maker(organization_id, maker_id)
        if user is None or member is None or maker is None:
            return None
        if isinstance(maker, Membership) and not posts.could_give(maker, Post.of(member)):
            return None
    return _Link(user=user, member=member, maker=maker)


def _maker(organization_id: UUID, maker_id: UUID | str) -> Membership | User | None:
    """The member or operator of that id, while they are one."""
    if not isinstance(maker_id, UUID):
        return None
    members = Membership.objects.filter(organization_id=organization_id, id=maker_id, status=Status.ACTIVE)
    member = members.filter(user__is_active=True).select_related("user").first()
    return member or User.objects.filter(id=maker_id, is_superuser=True, is_active=True).first()


def _tell_used(link: _Link) -> None:
    organization_id = link.member.organization_id
    maker = link.maker.user if isinstance(link.maker, Membership) else link.maker
    with scope.organization(organization_id):
        audit.event_record(
            event_type=EventType.USER_PASSWORD_LINK_USED,
            principal=PersonActor.of(link.user, organization_id=organization_id),
            organization_id=organization_id,
            target_kind="user",
            target_id=link.user.id,
            details={"email": link.user.email, "made_by": maker.email, "made_by_id": str(maker.id)},
        )


def _may_be_changed(user: User) -> bool:
    """Whether they are nobody but a member of one organization: also when the link is used."""
    if user.is_superuser or not user.is_active:
        return False
    # In a context of its own, for memberships are of several tenants.
    found = [*contextvars.Context().run(selectors.memberships_of, user.id)]
    found += contextvars.Context().run(selectors.memberships_out_of_use, user.id)
    return len(found) == 1
