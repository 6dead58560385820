"""What refusals write, once each in a process that a journey may kill; repeatable."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponseForbidden

from cloud.access import authorization
from cloud.access import refusals as tokens
from cloud.access.principals import Principal, PrincipalKind
from cloud.accounts.models import User
from cloud.connectors import enrollment
from cloud.connectors import refusals as links
from cloud.connectors.models import Connector
from cloud.console import denials
from cloud.tenancy import scope
from local_daemon.protocol import errors, ids
from local_daemon.protocol.scopes import Scope


def token_refuse(principal: Principal, project_id: UUID) -> None:
    because = tokens.because_of(revoked_at=datetime.now(UTC), is_expired=False, is_orphaned=False)
    tokens.token_refused(
        token_id=ids.new_uuid7(), organization_id=principal.organization_id, name="spare", because=because
    )


def link_refuse(principal: Principal, project_id: UUID) -> None:
    with scope.organization(principal.organization_id):
        machine = Connector.objects.earliest("id")
    links.link_refused(machine.id, remote_address=None)


def page_deny(principal: Principal, project_id: UUID) -> None:
    request = HttpRequest()
    request.user = User.objects.earliest("id")
    denials.denial_tell(request, HttpResponseForbidden(), organization_id=principal.organization_id)


def claim_guess(principal: Principal, project_id: UUID) -> None:
    """A person's wrong code."""
    person = Principal(
        kind=PrincipalKind.USER, id=ids.new_uuid7(), organization_id=principal.organization_id, label="guesser",
        scopes=principal.scopes,
    )  # fmt: skip
    with scope.organization(principal.organization_id), suppress(errors.NotFound):
        grant = authorization.authorize(person, Scope.CONNECTORS_WRITE)
        enrollment.pending_find(grant=grant, claim_code="AAAA-0000")


ACTS: dict[str, Callable[[Principal, UUID], None]] = {
    act.__name__: act for act in (token_refuse, link_refuse, page_deny, claim_guess)
}
