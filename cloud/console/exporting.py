"""The audit as a file: what the list's filters leave, streamed page by page, newest first, as long as it may be.

Deliberately no proof: the chain and its checkpoints are exported and verified by `cloudctl audit`. Called by
`admin/audit.py`. Tests: tests/integration/cloud/relay/test_exporting.py.
"""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBadRequest, HttpResponseBase, StreamingHttpResponse

from cloud.audit.models import AuditEvent
from cloud.console.lists import SpanFilter
from cloud.tenancy import scope
from cloud.tenancy.threads import in_database_thread

if TYPE_CHECKING:
    from cloud.console.tenant_admin import TenantAdmin

PIECE_ROWS = 2_000
_COLUMNS = (
    "id", "organization_id", "at", "event_type", "actor_kind", "actor_id", "actor_label", "target_kind", "target_id",
    "project_id", "call_id", "outcome", "duration_ms", "client_address", "details",
)  # fmt: skip


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
    media_type = "text/csv; charset=utf-8" if form is Format.CSV else "application/jsonl"
    response = StreamingHttpResponse(_pieces(rows, form, scope.current()), content_type=media_type)
    response["Content-Disposition"] = f'attachment; filename="{_name(shown, form)}"'
    response["Cache-Control"] = "no-store"
    return response


def _name(shown: ChangeList, form: Format) -> str:
    span = next(found for found in shown.filter_specs if isinstance(found, SpanFilter))
    since, until = span.since(), span.last or datetime.now(UTC).date()
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
    # A spreadsheet takes what begins so for a formula.
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _spelled(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
