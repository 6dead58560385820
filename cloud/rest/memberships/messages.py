"""Members on the wire. Tests: tests/integration/cloud/rest/test_people.py."""

from enum import StrEnum
from uuid import UUID

from cloud.permissions.roles import Role
from cloud.rest import queries
from cloud.rest.posts import PostGiven, PostView
from local_daemon.protocol import messages, wire


class MemberStatus(StrEnum):
    """Which members."""

    ACTIVE = "active"  # those who are let in
    DISABLED = "disabled"  # those who were removed
    ANY = "any"  # all who ever were


class MembershipQuery(messages.PageQuery):
    """Members, oldest first: of one role, or whose address or name holds `search`."""

    role: Role | None = None
    status: MemberStatus = MemberStatus.ACTIVE
    search: queries.Search = ""


class MembershipChange(PostGiven):
    """What a member shall be from now on; the whole of it."""


class MembershipView(PostView):
    """A person in the organization."""

    membership_id: UUID
    email: str
    full_name: str
    status: str
    version: int
    created_at: wire.Instant


class MembershipPage(wire.ViewModel):
    """Members within reach."""

    items: tuple[MembershipView, ...]
    next_cursor: str | None
