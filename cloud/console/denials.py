"""What a signed-in person was refused, in their organization's audit: once a minute each person and kind.

Of pages it is told by what they answered, so that it does not matter who refused: Django, a page, or a service. A page
that answers otherwise, for it did some of what was asked, marks its request (`denial_mark`); a websocket has no answer
and says so itself. An operator's denials, and those of who belongs nowhere, go to the installation's own chain. Called
by `middleware`, `tenant_admin` and `live`. Tests: tests/integration/cloud/console/test_denials.py and
tests/integration/cloud/relay/test_live.py.
"""

from dataclasses import dataclass
from typing import Any
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
from local_daemon.protocol import errors

_CODES = {403: "forbidden", 404: "not_found"}
_PATH_CHARACTERS = 200
_MARK = "_ropeway_denial"
_ROWS_TOLD = 20
_told = ToldOnce()


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """What somebody asked for and did not get: `view` is the page's name, `about` what else there is to tell."""

    code: str
    method: str
    path: str
    view: str
    about: dict[str, Any]


def denial_mark(request: HttpRequest, error: errors.RopewayError, *, action: str, row: Any) -> None:
    """Note that an action on some rows was refused for this one; of other errors than denials nothing."""
    if error.code not in _CODES.values():
        return
    marked: dict[str, Any] = request.__dict__.setdefault(_MARK, {"code": error.code, "action": action, "rows": []})
    if len(marked["rows"]) < _ROWS_TOLD:
        marked["rows"].append(str(row.pk))


def denial_tell(request: HttpRequest, response: HttpResponse, *, organization_id: UUID | None) -> None:
    """Tell of an answer that is a denial, or was marked as one; of others nothing. With no scope open."""
    about = dict(request.__dict__.get(_MARK, {}))
    code = _CODES.get(response.status_code) or about.get("code")
    if code is None or not isinstance(request.user, User):
        return
    view = request.resolver_match.view_name if request.resolver_match else ""
    denial = Denial(code=code, method=request.method or "", path=request.path, view=view, about=about)
    person_deny(request.user, denial, organization_id=organization_id)


def person_deny(person: User, denial: Denial, *, organization_id: UUID | None, address: str | None = None) -> None:
    """Tell of it in the chain that it belongs to, unless it was told a moment ago. With no scope open."""
    if not _told.is_news((person.pk, organization_id, denial.code)):
        return
    chain = organization_id or INSTALLATION
    # JSON in PostgreSQL knows no NUL.
    path = denial.path[:_PATH_CHARACTERS].replace("\x00", "\ufffd")
    with scope.organization(chain), recorded("page_deny"):
        audit.event_record(
            event_type=EventType.PAGE_DENIED,
            principal=PersonActor.of(person, organization_id=chain),
            target_kind="page",
            target_id=denial.view[:64],
            outcome=Outcome.ERROR,
            client_address=address,
            details={**denial.about, "code": denial.code, "method": denial.method, "path": path},
        )
