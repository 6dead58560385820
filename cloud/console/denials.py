"""Pages that a signed-in person was refused, in their organization's audit: once a minute each person and kind.

Told by what the page answered, so that it does not matter who refused: Django, a page, or a service. An operator's, and
those of who belongs nowhere, go to the installation's own chain. Called by `middleware`. Tests:
tests/integration/cloud/console/test_denials.py.
"""

from uuid import UUID

from django.http import HttpRequest, HttpResponse

from cloud.accounts.models import User
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.audit.installation import INSTALLATION
from cloud.audit.models import Outcome
from cloud.audit.told_once import ToldOnce
from cloud.tenancy import scope
from cloud.tenancy.actors import PersonActor
from cloud.tenancy.transaction import recorded

_CODES = {403: "forbidden", 404: "not_found"}
_PATH_CHARACTERS = 200
_told = ToldOnce()


def denial_tell(request: HttpRequest, response: HttpResponse, *, organization_id: UUID | None) -> None:
    """Tell of an answer that is a denial; of others nothing. With no scope open."""
    code, person = _CODES.get(response.status_code), request.user
    if code is None or not isinstance(person, User) or not _told.is_news((person.pk, organization_id, code)):
        return
    chain = organization_id or INSTALLATION
    # JSON in PostgreSQL knows no NUL.
    path = request.path[:_PATH_CHARACTERS].replace("\x00", "\ufffd")
    with scope.organization(chain), recorded("page_deny"):
        audit.event_record(
            event_type=EventType.PAGE_DENIED,
            principal=PersonActor.of(person, organization_id=chain),
            target_kind="page",
            target_id=request.resolver_match.view_name[:64] if request.resolver_match else "",
            outcome=Outcome.ERROR,
            details={"code": code, "method": request.method, "path": path},
        )
