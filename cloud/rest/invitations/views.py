"""Invitations: links by which people become members. Accepting one is a page for people, not for programs.

Tests: tests/integration/cloud/rest/test_people.py.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.urls import reverse

from cloud.rest import posts
from cloud.rest.collection import Collection
from cloud.rest.endpoints import Asked, IfMatch, endpoint
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
    "POST",
    "/invitations/{invitation_id}/resend",
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


_all = Collection(name="invitations", path="/invitations", id_name="invitation_id", view=_view, response=InvitationView)

ENDPOINTS = (
    _all.list(
        "Invitations",
        "The invitations within reach, oldest first.",
        selectors.invitation_page,
        query=InvitationQuery,
        page=InvitationPage,
    ),
    invitations_create,
    _all.get("An invitation", "One invitation, without its link.", selectors.invitation_get),
    invitations_resend,
    _all.act(
        "revoke",
        "Revoke an invitation",
        "End an open invitation; ending it again changes nothing.",
        invitations.invitation_revoke,
        if_match=IfMatch.IGNORED,
    ),
)
