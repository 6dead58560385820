"""Members: who is what. They come by invitation. Tests: tests/integration/cloud/rest/test_people.py."""

from uuid import UUID

from cloud.rest import pages, posts
from cloud.rest.endpoints import Asked, IfMatch, endpoint
from cloud.rest.memberships.messages import (
    MembershipChange,
    MembershipPage,
    MembershipQuery,
    MembershipView,
    MemberStatus,
)
from cloud.tenancy import memberships, selectors
from cloud.tenancy.models import Membership, Status

_ONE = "/memberships/{membership_id}"


@endpoint(
    "GET",
    "/memberships",
    name="memberships.list",
    title="Members",
    service=selectors.membership_page,
    query=MembershipQuery,
    response=MembershipPage,
)
def memberships_list(asked: Asked, query: MembershipQuery) -> MembershipPage:
    """The members within reach, oldest first."""
    page = selectors.membership_page(
        grant=asked.grant(),
        role=query.role,
        status=None if query.status is MemberStatus.ANY else Status(query.status.value),
        search=query.search,
        limit=query.limit,
        after=pages.after_row(query.cursor),
    )
    return MembershipPage(**pages.page_told(page, _view))


@endpoint(
    "GET",
    _ONE,
    name="memberships.get",
    title="A member",
    service=selectors.membership_get,
    response=MembershipView,
)
def memberships_get(asked: Asked, membership_id: UUID) -> MembershipView:
    """One member."""
    return _view(selectors.membership_get(grant=asked.grant(), membership_id=membership_id))


@endpoint(
    "PUT",
    _ONE,
    name="memberships.change",
    title="Change a member",
    service=memberships.membership_change,
    request=MembershipChange,
    response=MembershipView,
    if_match=IfMatch.REQUIRED,
)
def memberships_change(asked: Asked, membership_id: UUID, body: MembershipChange) -> MembershipView:
    """Another role or reach; at most the caller's own. An organization keeps an owner."""
    return _view(
        memberships.membership_change(
            grant=asked.grant(),
            membership_id=membership_id,
            post=body.post(),
            expected_version=asked.expected_version,
        )
    )


@endpoint(
    "DELETE",
    _ONE,
    name="memberships.remove",
    title="Remove a member",
    service=memberships.membership_remove,
    response=MembershipView,
    if_match=IfMatch.REQUIRED,
)
def memberships_remove(asked: Asked, membership_id: UUID) -> MembershipView:
    """End a membership, and with it every token that it holds."""
    return _view(
        memberships.membership_remove(
            grant=asked.grant(), membership_id=membership_id, expected_version=asked.expected_version
        )
    )


def _view(row: Membership) -> MembershipView:
    return MembershipView(
        membership_id=row.id,
        email=row.user.email,
        full_name=row.user.full_name,
        status=row.status,
        version=row.version,
        created_at=row.created_at,
        **posts.post_facts(row),
    )


ENDPOINTS = (memberships_list, memberships_get, memberships_change, memberships_remove)
