"""Invitations: links by which people become members. Accepting one is a page for people, not for programs.

Tests: tests/integration/cloud/rest/test_people.py.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.urls import reverse

from cloud.rest import pages, posts
from cloud.rest.endpoints import Asked, endpoint
from cloud.rest.invitations.messages import (
    InvitationCreate,
    InvitationPage,
    InvitationQuery,
    InvitationResend,
    InvitationTold,
    InvitationView,
)
from cloud.tenancy import invitations, selectors
from cloud.tenancy.models import Invitation

_ONE = "/invitations/{invitation_id}"


@endpoint(
    "GET",
    "/invitations",
    name="invitations.list",
    title="Invitations",
    service=selectors.invitation_page,
    query=InvitationQuery,
    response=InvitationPage,
)
def invitations_list(asked: Asked, query: InvitationQuery) -> InvitationPage:
    """The invitations within reach, oldest first."""
    page = selectors.invitation_page(
        grant=asked.grant(), open_only=query.open_only, limit=query.limit, after=pages.after_row(query.cursor)
    )
    return InvitationPage(**pages.page_told(page, _view))


@endpoint(
    "POST",
    "/invitations",
    name="invitations.create",
    title="Invite somebody",
    service=invitations.invitation_create,
    request=InvitationCreate,
    response=InvitationTold,
    status=201,
)
def invitations_create(asked: Asked, body: InvitationCreate) -> InvitationTold:
    """Invite an address to a role, at most the caller's own; the link's secret is told this once."""
    row, secret = invitations.invitation_create(
        grant=asked.grant(), email=body.email, post=body.post(), ttl=timedelta(days=body.days)
    )
    return _told(row, secret)


@endpoint(
    "GET",
    _ONE,
    name="invitations.get",
    title="An invitation",
    service=selectors.invitation_get,
    response=InvitationView,
)
def invitations_get(asked: Asked, invitation_id: UUID) -> InvitationView:
    """One invitation, without its link."""
    return _view(selectors.invitation_get(grant=asked.grant(), invitation_id=invitation_id))


@endpoint(
    "POST",
    f"{_ONE}/resend",
    name="invitations.resend",
    title="Send an invitation again",
    service=invitations.invitation_resend,
    request=InvitationResend,
    response=InvitationTold,
)
def invitations_resend(asked: Asked, invitation_id: UUID, body: InvitationResend) -> InvitationTold:
    """A new link in the caller's name; the old one is dead."""
    row, secret = invitations.invitation_resend(
        grant=asked.grant(), invitation_id=invitation_id, ttl=timedelta(days=body.days)
    )
    return _told(row, secret)


@endpoint(
    "POST",
    f"{_ONE}/revoke",
    name="invitations.revoke",
    title="Revoke an invitation",
    service=invitations.invitation_revoke,
    response=InvitationView,
)
def invitations_revoke(asked: Asked, invitation_id: UUID) -> InvitationView:
    """End an open invitation; ending it again changes nothing."""
    return _view(invitations.invitation_revoke(grant=asked.grant(), invitation_id=invitation_id))


def _facts(row: Invitation) -> dict[str, Any]:
    return {
        "invitation_id": row.id,
        "email": row.email,
        "invited_by": row.invited_by,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "accepted_at": row.accepted_at,
        "revoked_at": row.revoked_at,
        **posts.post_facts(row),
    }


def _view(row: Invitation) -> InvitationView:
    return InvitationView(**_facts(row))


def _told(row: Invitation, secret: str) -> InvitationTold:
    return InvitationTold(secret=secret, link=reverse("join", args=[secret]), **_facts(row))


ENDPOINTS = (invitations_list, invitations_create, invitations_get, invitations_resend, invitations_revoke)
