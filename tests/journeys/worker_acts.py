"""What polling and the sign-in form write, done once each in a process that a journey may kill; safe to do again."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth import signals

from cloud.access.principals import Principal
from cloud.accounts.models import User
from cloud.polling import rounds
from cloud.polling.source import Item, Page
from cloud.tenancy import scope
from cloud.tenancy.models import Membership


def poll_begin(principal: Principal, project_id: UUID) -> None:
    rounds.source_poll(_Source(), organization_id=principal.organization_id, now=datetime.now(UTC))


def poll_page(principal: Principal, project_id: UUID) -> None:
    poll_begin(principal, project_id)


def poll_end(principal: Principal, project_id: UUID) -> None:
    poll_begin(principal, project_id)


def sign_in(principal: Principal, project_id: UUID) -> None:
    with scope.organization(principal.organization_id):
        member = Membership.objects.select_related("user").filter(organization_id=principal.organization_id).first()
    assert member is not None
    signals.user_logged_in.send(sender=User, request=None, user=member.user)


class _Source:
    """A source of one page, never asked before."""

    every, overlap, name = timedelta(minutes=1), timedelta(0), "journey"

    def __init__(self) -> None:
        self.subject_id = uuid4().hex

    def fetch(self, cursor: dict[str, Any], *, overlap: timedelta) -> Page:
        return Page(items=[Item(key="one", told=None)])

    def apply(self, items: Any) -> None:
        """No effect of its own."""


ACTS: dict[str, Callable[[Principal, UUID], None]] = {
    act.__name__: act for act in (poll_begin, poll_page, poll_end, sign_in)
}
