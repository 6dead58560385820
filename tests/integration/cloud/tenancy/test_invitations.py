"""People become members by a link that works once, for the address it was made for."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import authenticate

from cloud.access import authorization, selectors
from cloud.access.principals import Grant
from cloud.accounts.models import User
from cloud.audit.models import AuditEvent
from cloud.permissions.roles import Role
from cloud.tenancy import invitations, memberships, scope
from cloud.tenancy import selectors as tenancy
from cloud.tenancy.models import Invitation, Membership
from cloud.tenancy.posts import Post
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

VIEWER = Post(role=Role.PROJECT_VIEWER)
PASSWORD = "correct horse battery"


def acting(tenant: Tenant, role: Role = Role.ORG_OWNER, wanted: Scope = Scope.MEMBERS_WRITE) -> Grant:
    return authorization.authorize(tenant.principal(role), wanted)


def invited(tenant: Tenant, email: str = "new@example.com", post: Post = VIEWER) -> str:
    with scope.organization(tenant.id):
        _, secret = invitations.invitation_create(grant=acting(tenant), email=email, post=post)
    return secret


def test_a_new_person_makes_an_account_and_is_what_they_were_invited_to_be(acme: Tenant) -> None:
    secret = invited(acme, " New@Example.com ", Post(role=Role.PROJECT_OPERATOR, project_ids=[acme.project.id]))
    seen = invitations.invitation_look(secret=secret)
    assert (seen.email, seen.organization.name) == ("new@example.com", "Acme")
    member = invitations.invitation_accept_new(secret=secret, full_name="New Person", password=PASSWORD)
    assert (member.role, member.project_ids, member.user.email) == (
        "project_operator",
        [acme.project.id],
        "new@example.com",
    )
    assert authenticate(username="new@example.com", password=PASSWORD) == member.user
    with scope.organization(acme.id):
        told = AuditEvent.objects.get(event_type="invitation:accepted")
        assert (told.actor_kind, told.actor_label) == ("user", "new@example.com")
        assert secret not in str([event.details for event in AuditEvent.objects.all()])


def test_a_person_with_an_account_accepts_signed_in_by_the_invited_address(acme: Tenant) -> None:
    secret = invited(acme)
    somebody = User.objects.create_user("somebody@example.com", PASSWORD)
    with pytest.raises(errors.Forbidden):
        invitations.invitation_accept(secret=secret, user=somebody)
    user = User.objects.create_user("New@example.com", PASSWORD)
    with pytest.raises(errors.Unauthenticated):
        invitations.invitation_accept_new(secret=secret, full_name="", password="another long password")
    member = invitations.invitation_accept(secret=secret, user=user)
    assert (member.user_id, member.role) == (user.id, "project_viewer")
    assert [row.organization_id for row in tenancy.memberships_of(user.id)] == [acme.id]


def test_who_invites_cannot_tell_whether_the_address_has_an_account(acme: Tenant) -> None:
    User.objects.create_user("known@example.com", PASSWORD)
    with scope.organization(acme.id):
        answers = [
            invitations.invitation_create(grant=acting(acme), email=email, post=VIEWER)[0]
            for email in ("known@example.com", "unknown@example.com")
        ]
        told = [event.details for event in AuditEvent.objects.filter(event_type="invitation:created")]
    facts = [(row.role, row.accepted_at, row.revoked_at, row.invited_by, row.inviter_id) for row in answers]
    assert facts[0] == facts[1]
    assert [{**details, "email": None} for details in told] == [{**told[0], "email": None}] * 2


def test_a_link_works_once(acme: Tenant) -> None:
    secret = invited(acme)
    invitations.invitation_accept_new(secret=secret, full_name="", password=PASSWORD)
    user = User.objects.get(email="new@example.com")
    with pytest.raises(errors.Expired):
        invitations.invitation_accept(secret=secret, user=user)
    with pytest.raises(errors.NotFound):
        invitations.invitation_look(secret=secret + "x")


def _expire(tenant: Tenant, row: Invitation) -> None:
    Invitation.objects.filter(id=row.id).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))


def _revoke(tenant: Tenant, row: Invitation) -> None:
    invitations.invitation_revoke(grant=acting(tenant), invitation_id=row.id)


def _resend(tenant: Tenant, row: Invitation) -> None:
    invitations.invitation_resend(grant=acting(tenant), invitation_id=row.id)


@pytest.mark.parametrize("end", [_expire, _revoke, _resend])
def test_a_link_ends(acme: Tenant, end: Callable[[Tenant, Invitation], None]) -> None:
    secret = invited(acme)
    with scope.organization(acme.id):
        end(acme, Invitation.objects.get())
    with pytest.raises((errors.Expired, errors.NotFound)):
        invitations.invitation_accept_new(secret=secret, full_name="", password=PASSWORD)
    assert not User.objects.filter(email="new@example.com").exists()


def test_an_invitation_is_sent_again_by_a_new_link_only(acme: Tenant) -> None:
    invited(acme)
    with scope.organization(acme.id):
        with pytest.raises(errors.InvalidTransition):
            invitations.invitation_create(grant=acting(acme), email="new@example.com", post=VIEWER)
        row = Invitation.objects.get()
        _, fresh = invitations.invitation_resend(grant=acting(acme), invitation_id=row.id)
    invitations.invitation_accept_new(secret=fresh, full_name="", password=PASSWORD)
    with scope.organization(acme.id), pytest.raises(errors.InvalidTransition):
        invitations.invitation_revoke(grant=acting(acme), invitation_id=row.id)


def test_an_expired_invitation_makes_room_for_another(acme: Tenant) -> None:
    invited(acme)
    with scope.organization(acme.id):
        Invitation.objects.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
        _, secret = invitations.invitation_create(grant=acting(acme), email="new@example.com", post=VIEWER)
        pages = [
            tenancy.invitation_page(grant=acting(acme, wanted=Scope.MEMBERS_READ), open_only=only)
            for only in (False, True)
        ]
    assert [len(page.items) for page in pages] == [2, 1]
    invitations.invitation_accept_new(secret=secret, full_name="", password=PASSWORD)


def test_nobody_invites_to_more_than_they_have(acme: Tenant, globex: Tenant) -> None:
    with scope.organization(acme.id):
        with pytest.raises(errors.Forbidden):
            invitations.invitation_create(
                grant=acting(acme, Role.ORG_ADMIN), email="x@example.com", post=Post(role=Role.ORG_OWNER)
            )
        with pytest.raises(errors.NotFound):
            invitations.invitation_create(
                grant=acting(acme),
                email="x@example.com",
                post=Post(role=Role.PROJECT_VIEWER, project_ids=[globex.project.id]),
            )


def test_an_invitation_ends_with_the_rights_of_its_inviter(acme: Tenant, make_member: Callable[..., Any]) -> None:
    make_member(acme, Role.ORG_OWNER)
    admin = make_member(acme, Role.ORG_ADMIN)
    with scope.organization(acme.id):
        principal = selectors.user_principal(admin.user, organization_id=acme.id)
        grant = authorization.authorize(principal, Scope.MEMBERS_WRITE)
        _, secret = invitations.invitation_create(grant=grant, email="new@example.com", post=Post(role=Role.ORG_ADMIN))
        memberships.membership_change(grant=acting(acme), membership_id=admin.id, post=VIEWER, expected_version=None)
    with pytest.raises(errors.Expired):
        invitations.invitation_look(secret=secret)


def test_a_member_cannot_accept_a_second_role(acme: Tenant) -> None:
    user = User.objects.create_user("new@example.com", PASSWORD)
    invitations.invitation_accept(secret=invited(acme), user=user)
    with pytest.raises(errors.InvalidTransition):
        invitations.invitation_accept(secret=invited(acme, post=Post(role=Role.ORG_ADMIN)), user=user)
    with scope.organization(acme.id):
        assert Membership.objects.get(user=user).role == "project_viewer"


@pytest.mark.parametrize("password", ["short", "password1234"])
def test_a_weak_password_makes_no_account(acme: Tenant, password: str) -> None:
    secret = invited(acme)
    with pytest.raises(errors.InvalidRequest) as refused:
        invitations.invitation_accept_new(secret=secret, full_name="", password=password)
    assert refused.value.attributes["errors"][0]["field"] == "password"
    assert not User.objects.filter(email="new@example.com").exists()


@pytest.mark.parametrize("email", ["", "nobody", "a@b", "x" * 250 + "@example.com"])
def test_what_is_no_address_is_refused(acme: Tenant, email: str) -> None:
    with scope.organization(acme.id), pytest.raises(errors.InvalidRequest):
        invitations.invitation_create(grant=acting(acme), email=email, post=VIEWER)
