"""Tokens that were good once and are not any more, told to their organization's audit: someone still has them.

Once a minute each, for whoever holds one may present it as often as they like. Called by `authentication`. Tests:
tests/integration/cloud/access/test_refusals.py.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from cloud.access.principals import Principal, PrincipalKind
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.audit.models import Outcome
from cloud.audit.told_once import ToldOnce
from cloud.tenancy import scope
from cloud.tenancy.transaction import recorded

_told = ToldOnce()


class Because(StrEnum):
    """Why a token is refused that is the organization's own."""

    REVOKED = "revoked"  # somebody ended it
    EXPIRED = "expired"  # its time is over
    ORPHANED = "orphaned"  # its holder is no member any more, or was deactivated
    SUSPENDED = "suspended"  # its organization is out of use


def because_of(*, revoked_at: datetime | None, is_expired: bool, is_orphaned: bool) -> Because:
    """The first of these that holds; out of use otherwise."""
    if revoked_at is not None:
        return Because.REVOKED
    if is_expired:
        return Because.EXPIRED
    return Because.ORPHANED if is_orphaned else Because.SUSPENDED


def token_refused(*, token_id: UUID, organization_id: UUID, name: str, because: Because) -> None:
    """Tell that somebody presented it. Opens the scope it needs, whatever scope is open."""
    if _told.is_news((token_id, because)):
        holder = Principal(
            kind=PrincipalKind.TOKEN, id=token_id, organization_id=organization_id, label=name, scopes=frozenset()
        )
        scope.outside(_record, holder, because)


def _record(holder: Principal, because: Because) -> None:
    with scope.organization(holder.organization_id), recorded("token_refuse"):
        audit.event_record(
            event_type=EventType.TOKEN_REFUSED,
            principal=holder,
            target_kind="token",
            target_id=holder.id,
            outcome=Outcome.ERROR,
            details={"because": because.value},
        )
