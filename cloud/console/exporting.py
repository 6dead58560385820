"""The audit as a file: what the list's filters leave, streamed page by page, newest first, as long as it may be.

Deliberately no proof: the chain and its checkpoints are exported and verified by `cloudctl audit`. Who takes what along
is told to the audit first, with how many events that are: the file ends where the list did at that moment. Called by
`admin/audit.py`. Tests: tests/integration/cloud/relay/test_exporting.py.
"""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBadRequest, HttpResponseBase, StreamingHttpResponse

from cloud.accounts.models import User
from cloud.audit import export as audit_export
from cloud.audit.installation import INSTALLATION
from cloud.audit.models import AuditEvent
from cloud.console import middleware
from cloud.console.lists import SpanFilter
from cloud.tenancy import scope
from cloud.tenancy.actors import PersonActor
from cloud.tenancy.threads import in_database_thread

if TYPE_CHECKING:
    from cloud.console.tenant_admin import TenantAdmin

PIECE_ROWS = 2_000
_ASKED_CHARACTERS, _ASKED_BYTES = 200, 6 * 1024
_COLUMNS = (
    "id", "organization_id", "at", "event_type", "actor_kind", "actor_id", "actor_label", "target_kind", "target_id",
    "project_id", "call_id", "outcome", "duration_ms", "client_address", "details",
)  # fmt: skip

_FORMULAS = frozenset("=+-@＝＋－＠\t\r\n")
"""What begins so a spreadsheet takes for a formula."""


class Format(StrEnum):
    """What kind of file."""

    CSV = "csv"  # a table with a head line; details as JSON
    JSONL = "jsonl"  # one JSON object a line


def export(page: "TenantAdmin", request: HttpRequest, form: Format) -> HttpResponseBase:
    """The file of the list that these query parameters show, named for the days that it is of."""
    try:
        shown = page.get_changelist_instance(request)
    except IncorrectLookupParameters:
        return HttpResponseBadRequest("The list has no such filter.", content_type="text/plain; charset=utf-8")
    rows = shown.get_queryset(request).order_by("-id")
    newest = rows.values_list("id", flat=True).first()
    # What happens from now on is not in the file, the telling of it least of all.
    rows = rows.none() if newest is None else rows.filter(id__lte=newest)
    _tell(request, shown, form, rows.order_by().count())
    media_type = "text/csv; charset=utf-8" if form is Format.CSV else "application/jsonl"
    response = StreamingHttpResponse(_pieces(rows, form, scope.current()), content_type=media_type)
    response["Content-Disposition"] = f'attachment; filename="{_name(shown, form)}"'
    response["Cache-Control"] = "no-store"
    return response


def _tell(request: HttpRequest, shown: ChangeList, form: Format, events: int) -> None:
    """In the chain of the organization they look at; an operator looks at all of them, for the installation."""
    assert isinstance(request.user, User)  # Who is not signed in sees no list.
    chain = INSTALLATION if request.user.is_superuser else middleware.organization_of(request) or INSTALLATION
    since, until = _span(shown)
    facts = {"since": since and since.isoformat(timespec="seconds"), "until": until.isoformat()}
    details = {**_asked(request), **facts, "format": form.value, "events": events}
    scope.outside(_tell_in, chain, request.user, details)


def _asked(request: HttpRequest) -> dict[str, Any]:
    """The filters in their own words, as many as there is room for in an event, and how many there were besides."""
    asked: dict[str, str] = {}
    room = _ASKED_BYTES
    for name, value in map(_shortened, request.GET.items()):
        room -= len(json.dumps([name, value]))
        if room < 0:
            break
        asked[name] = value
    left_out = len(request.GET) - len(asked)
    return {"asked": asked, "asked_besides": left_out} if left_out else {"asked": asked}


def _shortened(parameter: tuple[str, Any]) -> tuple[str, str]:
    # JSON in PostgreSQL knows no NUL.
    name, value = (str(part)[:_ASKED_CHARACTERS].replace("\x00", "\ufffd") for part in parameter)
    return name, value


def _tell_in(chain: UUID, person: User, details: dict[str, Any]) -> None:
    with scope.organization(chain):
        actor = PersonActor.of(person, organization_id=chain)
        audit_export.export_tell(organization_id=chain, actor=actor, details=details)


def _span(shown: ChangeList) -> tuple[datetime | None, date]:
    """From when on, None from the beginning; and the last day."""
    span = next(found for found in shown.filter_specs if isinstance(found, SpanFilter))
    return span.since(), span.last or datetime.now(UTC).date()


def _name(shown: ChangeList, form: Format) -> str:
    since, until = _span(shown)
    return f"audit{f'-from-{since:%Y-%m-%d}' if since else ''}-to-{until:%Y-%m-%d}.{form.value}"


def by_uuid(rows: QuerySet[Any], column: str, term: str) -> QuerySet[Any]:
    """The rows with that id; none for what is no id, all where nothing is looked for."""
    if not term.strip():
        return rows
    try:
        return rows.filter(**{column: UUID(term.strip())})
    except ValueError:
        return rows.none()


async def _pieces(rows: QuerySet[Any], form: Format, viewed: str) -> AsyncIterator[bytes]:
    """The response is sent after the page's scope has closed: each piece opens it again."""
    if form is Format.CSV:
        yield _table([list(_COLUMNS)])
    before: AuditEvent | None = None
    while True:
        found = await in_database_thread(_piece, rows, before, viewed)
        if found:
            yield _written(found, form)
        if len(found) < PIECE_ROWS:
            return
        before = found[-1]


def _piece(rows: QuerySet[Any], before: AuditEvent | None, viewed: str) -> list[AuditEvent]:
    older = rows if before is None else rows.filter(id__lt=before.id)
    with scope.operator() if viewed == scope.OPERATOR else scope.organization(viewed):
        return list(older[:PIECE_ROWS])


def _written(found: Iterable[AuditEvent], form: Format) -> bytes:
    if form is Format.CSV:
        return _table([_cell(getattr(row, column)) for column in _COLUMNS] for row in found)
    facts = [{column: getattr(row, column) for column in _COLUMNS} for row in found]
    return "".join(json.dumps(one, default=_spelled, ensure_ascii=False) + "\n" for one in facts).encode()


def _table(lines: Iterable[list[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(lines)
    return written.getvalue().encode()


def _cell(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else _spelled(value)
    return f"'{text}" if text[:1] in _FORMULAS else text


def _spelled(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
