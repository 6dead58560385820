"""Members: who is what. They come by invitation. Tests: tests/integration/cloud/rest/test_people.py."""

from uuid import UUID

from cloud.rest import pages, posts
from cloud.rest.collection import Collection
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
    "PUT",
    "/memberships/{membership_id}",
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


_all = Collection(name="memberships", path="/memberships", id_name="membership_id", view=_view, response=MembershipView)

ENDPOINTS = (
    memberships_list,
    _all.get("A member", "One member.", selectors.membership_get),
    memberships_change,
    _all.delete(
        "Remove a member",
        "End a membership, and with it every token that it holds.",
        memberships.membership_remove,
        word="remove",
    ),
)
