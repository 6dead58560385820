"""A new password by a link that works once, for somebody who forgot theirs: made as invitations are, and told once.

Whoever has the link becomes that person wherever they sign in. So an administrator makes one only for who is a member
of their organization and of no other, and is no more than they are themselves; to others an operator of the
installation gives another password. Deliberately keeps nothing: a link is signed, and ends with the password that it
replaces, with the next sign-in, or after TTL. Those who make one call in their organization's open scope. Tests:
tests/integration/cloud/tenancy/test_password_links.py.
"""

import contextvars
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator

from cloud.accounts import services as accounts
from cloud.accounts.models import User
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.tenancy import grants, posts, selectors
from cloud.tenancy.grants import Grant
from cloud.tenancy.models import Membership, Status
from cloud.tenancy.posts import Post
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

TTL = timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)
_BY_OPERATORS = "Only an operator of this installation can give this person another password."
_GONE = "This link is over; ask for a new one."


class _Links(PasswordResetTokenGenerator):
    """Signatures that nothing else of Django's takes."""

    key_salt = "cloud.tenancy.password_links"


_links = _Links()


@grants.needs(Scope.MEMBERS_WRITE)
def password_link_create(*, grant: Grant, membership_id: UUID) -> tuple[User, str]:
    """Whose password it is, and the secret of the link, which is shown this once.

    Raises NotFound, Forbidden for who is more than the grant's principal, or somebody elsewhere too."""
    rows = Membership.objects.filter(organization_id=grant.organization_id, status=Status.ACTIVE)
    row = rows.filter(id=membership_id).select_related("user").first()
    if row is None:
        raise errors.NotFound
    posts.holder_check(grant=grant, post=Post.of(row))
    if not _may_be_changed(row.user):
        raise errors.Forbidden(_BY_OPERATORS)
    with recorded("tenancy_change"):
        audit.event_record(
            event_type=EventType.USER_PASSWORD_LINK_MADE,
            principal=grant.principal,
            organization_id=grant.organization_id,
            target_kind="user",
            target_id=row.user.id,
            details={"email": row.user.email},
        )
    return row.user, f"{row.user.id.hex}-{_links.make_token(row.user)}"


def password_link_look(*, secret: str) -> User:
    """Whose password a link replaces, to show before it does. Raises Expired."""
    return _opened(secret)


def password_link_use(*, secret: str, password: str) -> User:
    """Give them that password. Raises Expired, InvalidRequest for a weak one."""
    with recorded("tenancy_change"):
        user = _opened(secret, is_used=True)
        accounts.password_set(user=user, password=password)
    return user


def _opened(secret: str, *, is_used: bool = False) -> User:
    name, _, token = secret.partition("-")
    try:
        user_id = UUID(hex=name)
    except ValueError:
        raise errors.Expired(_GONE) from None
    # Locked for who uses it: of two at once the second finds another password, and so no link.
    rows = User.objects.select_for_update() if is_used else User.objects.all()
    user = rows.filter(id=user_id).first()
    if user is None or not _links.check_token(user, token) or not _may_be_changed(user):
        raise errors.Expired(_GONE)
    return user


def _may_be_changed(user: User) -> bool:
    """Whether they are nobody but a member of one organization: also when the link is used."""
    if user.is_superuser or not user.is_active:
        return False
    # In a context of its own, for memberships are of several tenants.
    found = [*contextvars.Context().run(selectors.memberships_of, user.id)]
    found += contextvars.Context().run(selectors.memberships_out_of_use, user.id)
    return len(found) == 1
