"""Invitations on the wire; the secret of a link is told once. Tests: tests/integration/cloud/rest/test_people.py."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from cloud.rest import queries
from cloud.rest.posts import PostGiven, PostView
from cloud.tenancy import invitations
from local_daemon.protocol import messages, wire

_Days = Annotated[wire.Integer, Field(ge=1, le=invitations.TTL_MAX.days)]


class InvitationQuery(messages.PageQuery):
    """Invitations, oldest first: all, or those that wait to be accepted."""

    open_only: queries.Flag = False


class InvitationCreate(PostGiven):
    """Whom to invite, and to what."""

    email: Annotated[str, StringConstraints(min_length=3, max_length=invitations.EMAIL_CHARACTERS)]
    days: _Days = invitations.TTL.days


class InvitationResend(wire.WireModel):
    """How long the new link is good for."""

    days: _Days = invitations.TTL.days


class InvitationView(PostView):
    """That somebody may become a member."""

    invitation_id: UUID
    email: str
    invited_by: str
    created_at: wire.Instant
    expires_at: wire.Instant
    accepted_at: wire.Instant | None
    revoked_at: wire.Instant | None


class InvitationTold(InvitationView):
    """With the secret of its link, told this once: `link` is below the cloud's own address."""

    secret: str
    link: str


class InvitationPage(wire.ViewModel):
    """Invitations within reach."""

    items: tuple[InvitationView, ...]
    next_cursor: str | None
