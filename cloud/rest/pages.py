"""Pages of lists: a cursor that only the next page gives, and the page's two members.

A cursor holds the last row's marks, opaque to callers; rows added meanwhile are neither skipped nor told twice.
Tests: tests/unit/cloud/rest/test_pages.py, tests/integration/cloud/rest/.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model
from pydantic import BaseModel

from cloud.runs.models import Snapshot
from cloud.runs.selectors import Newest
from cloud.tenancy.pages import Page
from local_daemon.protocol import errors, ids

M = TypeVar("M", bound=Model)
S = TypeVar("S", bound=Snapshot)
V = TypeVar("V", bound=BaseModel)

_STRANGE = "The cursor comes from the page before."


def cursor_write(mark: UUID | str | int) -> str:
    """The cursor after a row."""
    return base64.urlsafe_b64encode(json.dumps([str(mark)]).encode()).decode().rstrip("=")


def _cursor_read(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        (mark,) = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, TypeError, binascii.Error):
        raise errors.InvalidRequest(_STRANGE) from None
    if not isinstance(mark, str):
        raise errors.InvalidRequest(_STRANGE)
    return mark


def after_row(cursor: str | None) -> UUID | None:
    """The row before the page, by its UUID. Raises InvalidRequest."""
    mark = _cursor_read(cursor)
    try:
        return None if mark is None else UUID(mark)
    except ValueError:
        raise errors.InvalidRequest(_STRANGE) from None


def after_number(cursor: str | None) -> int | None:
    """The row before the page, by its number. Raises InvalidRequest."""
    mark = _cursor_read(cursor)
    if mark is None:
        return None
    if not mark.isascii() or not mark.isdigit() or len(mark) > 18:
        raise errors.InvalidRequest(_STRANGE)
    return int(mark)


def after_record(cursor: str | None, prefix: ids.IdPrefix) -> str | None:
    """The record before the page, by a machine's id. Raises InvalidRequest."""
    mark = _cursor_read(cursor)
    if mark is not None and not ids.is_id(prefix, mark):
        raise errors.InvalidRequest(_STRANGE)
    return mark


def day_write(day: date, row_id: UUID) -> str:
    """The mark of a row of a day."""
    return f"{day.isoformat()}/{row_id}"


def after_day(cursor: str | None) -> tuple[date, UUID] | None:
    """The row before the page, by its day and UUID. Raises InvalidRequest."""
    mark = _cursor_read(cursor)
    if mark is None:
        return None
    day, _, row_id = mark.partition("/")
    try:
        return date.fromisoformat(day), UUID(row_id)
    except ValueError:
        raise errors.InvalidRequest(_STRANGE) from None


def page_told(page: Page[M], view: Callable[[M], V]) -> dict[str, Any]:
    """The members of a page's model."""
    return {
        "items": tuple(view(row) for row in page.items),
        "next_cursor": None if page.next_after is None else cursor_write(page.next_after),
    }


def newest_told(page: Newest[S], view: Callable[[S], V]) -> dict[str, Any]:
    """As `page_told`, of rows that go by a machine's ids."""
    return {
        "items": tuple(view(row) for row in page.items),
        "next_cursor": None if page.next_before is None else cursor_write(page.next_before),
    }


def rows_told(
    rows: Sequence[M], view: Callable[[M], V], *, limit: int, mark: Callable[[M], UUID | str | int]
) -> dict[str, Any]:
    """As `page_told`, of at most `limit` rows; a full page may be followed by an empty one."""
    return {
        "items": tuple(view(row) for row in rows),
        "next_cursor": cursor_write(mark(rows[-1])) if len(rows) >= limit else None,
    }
