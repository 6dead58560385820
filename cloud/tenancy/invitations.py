"""Inviting people by a link that works once.

Whoever invites learns nothing about the address, not even whether it has an account: the answer is always a link.
Whoever accepts must have that address. An open invitation can do no more than its inviter can when it is accepted.
Those who invite call in their organization's open scope; `invitation_look` and the two that accept speak for people who
are nobody yet: call them with no scope open. Tests: tests/integration/cloud/tenancy/test_invitations.py.
"""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from cloud.accounts import services as accounts
from cloud.accounts.models import User
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.tenancy import grants, memberships, posts, scope
from cloud.tenancy.actors import PersonActor
from cloud.tenancy.grants import Grant
from cloud.tenancy.lifecycle import TenantStatus
from cloud.tenancy.models import Invitation, Membership, Status
from cloud.tenancy.posts import Post
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

TTL = timedelta(days=7)
TTL_MAX = timedelta(days=30)
EMAIL_CHARACTERS = 254
_GONE = "This invitation is over; ask for a new one."


@grants.needs(Scope.MEMBERS_WRITE)
def invitation_create(*, grant: Grant, email: str, post: Post, ttl: timedelta = TTL) -> tuple[Invitation, str]:
    """An invitation, and the secret of its link, which is shown this once.

    Raises Forbidden, NotFound, InvalidRequest for what is no address, InvalidTransition where one is open."""
    address = _address(email)
    _check_ttl(ttl)
    posts.post_check(grant=grant, post=post)
    secret, now = secrets.token_urlsafe(32), datetime.now(UTC)
    with recorded("tenancy_change"):
        same = Invitation.objects.filter(organization_id=grant.organization_id, email=address)
        same.filter(accepted_at=None, revoked_at=None, expires_at__lte=now).update(revoked_at=now)
        try:
            with transaction.atomic():
                row = Invitation.objects.create(
                    organization_id=grant.organization_id,
                    email=address,
                    role=post.role.value,
                    workspace_id=post.workspace_id,
                    project_ids=None if post.project_ids is None else sorted(set(post.project_ids)),
                    digest=_digest(secret),
                    invited_by=grant.principal.label,
                    inviter_id=grant.principal.membership_id,
                    expires_at=now + ttl,
                )
        except IntegrityError as error:
            raise errors.InvalidTransition("This address has an open invitation; send that one again.") from error
        _tell(row, EventType.INVITATION_CREATED, grant.principal)
    return row, secret


@grants.needs(Scope.MEMBERS_WRITE)
def invitation_resend(*, grant: Grant, invitation_id: UUID, ttl: timedelta = TTL) -> tuple[Invitation, str]:
    """A new secret for an open invitation, in the name of who sends it again; the old link is dead.

    Raises NotFound, Forbidden, InvalidTransition for one that is over."""
    _check_ttl(ttl)
    secret = secrets.token_urlsafe(32)
    with recorded("tenancy_change"):
        row = _locked(grant, invitation_id)
        _refuse_closed(row)
        row.digest, row.expires_at = _digest(secret), datetime.now(UTC) + ttl
        row.invited_by, row.inviter_id = grant.principal.label, grant.principal.membership_id
        row.save(update_fields=["digest", "expires_at", "invited_by", "inviter"])
        _tell(row, EventType.INVITATION_RESENT, grant.principal)
    return row, secret


@grants.needs(Scope.MEMBERS_WRITE)
def invitation_revoke(*, grant: Grant, invitation_id: UUID) -> Invitation:
    """End an open invitation; ending it again changes nothing. Raises NotFound, Forbidden, InvalidTransition for one
    that was accepted."""
    with recorded("tenancy_change"):
        row = _locked(grant, invitation_id)
        if row.revoked_at is None:
            _refuse_closed(row)
            row.revoked_at = datetime.now(UTC)
            row.save(update_fields=["revoked_at"])
            _tell(row, EventType.INVITATION_REVOKED, grant.principal)
    return row


def invitation_look(*, secret: str) -> Invitation:
    """The open invitation behind a link, with its organization, to show before it is accepted. Raises NotFound,
    Expired."""
    with _opened(secret) as row:
        return row


def invitation_accept(*, secret: str, user: User) -> Membership:
    """Make a signed-in person what the invitation says.

    Raises NotFound, Expired, Forbidden for another address than the invited one, InvalidTransition for a member."""
    with _opened(secret) as row:
        if user.email.lower() != row.email or not user.is_active:
            raise errors.Forbidden("Sign in with the address that was invited.")
        return _accepted(row, user)


def invitation_accept_new(*, secret: str, full_name: str, password: str) -> Membership:
    """Make an account for the invited address, and its person what the invitation says.

    Raises NotFound, Expired, InvalidRequest for a weak password, Unauthenticated where the address has an account: only
    who holds the link learns that."""
    with _opened(secret) as row:
        if User.objects.filter(email=row.email).exists():
            raise errors.Unauthenticated("Sign in with the invited address to accept.")
        user = accounts.user_create(email=row.email, full_name=full_name, password=password)
        return _accepted(row, user)


@contextmanager
def _opened(secret: str) -> Iterator[Invitation]:
    """The open invitation, locked, in its organization's scope, in one recorded change."""
    digest = _digest(secret)
    with scope.operator():
        organization_id = Invitation.objects.filter(digest=digest).values_list("organization_id", flat=True).first()
    if organization_id is None:
        raise errors.NotFound("No such invitation.")
    with scope.organization(organization_id), recorded("tenancy_change"):
        rows = Invitation.objects.select_related("organization").select_for_update(of=("self",))
        row = rows.filter(digest=digest).first()
        is_open = (
            row is not None
            and row.accepted_at is None
            and row.revoked_at is None
            and row.expires_at > datetime.now(UTC)
            and row.organization.status == TenantStatus.ACTIVE
            and _is_backed(row)
        )
        if row is None or not is_open:
            raise errors.Expired(_GONE)
        yield row


def _is_backed(row: Invitation) -> bool:
    """Whether its inviter could still make it."""
    if row.inviter_id is None:
        return True
    inviter = Membership.objects.filter(id=row.inviter_id, status=Status.ACTIVE, user__is_active=True).first()
    return inviter is not None and posts.could_give(inviter, Post.of(row))


def _accepted(row: Invitation, user: User) -> Membership:
    actor = PersonActor.of(user, organization_id=row.organization_id)
    member = memberships.membership_put(
        organization_id=row.organization_id, user_id=user.id, post=Post.of(row), actor=actor
    )
    row.accepted_at = datetime.now(UTC)
    row.save(update_fields=["accepted_at"])
    _tell(row, EventType.INVITATION_ACCEPTED, actor)
    return member


def _locked(grant: Grant, invitation_id: UUID) -> Invitation:
    rows = Invitation.objects.select_for_update().filter(organization_id=grant.organization_id)
    row = rows.filter(id=invitation_id).first()
    if row is None:
        raise errors.NotFound
    posts.holder_check(grant=grant, post=Post.of(row))
    return row


def _refuse_closed(row: Invitation) -> None:
    if row.accepted_at is not None or row.revoked_at is not None:
        raise errors.InvalidTransition("This invitation is over; make a new one.")


def _address(email: str) -> str:
    address = email.strip().lower()
    if len(address) > EMAIL_CHARACTERS:
        raise errors.InvalidRequest("This address is too long.")
    try:
        validate_email(address)
    except ValidationError as error:
        raise errors.InvalidRequest("This is no mail address.") from error
    return address


def _check_ttl(ttl: timedelta) -> None:
    if not timedelta(0) < ttl <= TTL_MAX:
        raise errors.InvalidRequest(f"An invitation is good for at most {TTL_MAX.days} days.")


def _digest(secret: str) -> bytes:
    # 256 random bits: a key would add nothing.
    return hashlib.sha256(secret.encode()).digest()


def _tell(row: Invitation, event_type: EventType, actor: audit.Actor) -> None:
    audit.event_record(
        event_type=event_type,
        principal=actor,
        organization_id=row.organization_id,
        target_kind="invitation",
        target_id=row.id,
        details={"email": row.email, **Post.of(row).facts()},
    )
