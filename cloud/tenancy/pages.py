"""Pages of rows: oldest first, each page beginning after the last row of the one before.

Ids grow with time, so the cursor is the last row's id, and rows that are added meanwhile are neither skipped nor told
twice. Called by selectors. Tests: tests/integration/cloud/rest/test_queries.py.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet

PAGE_MAX = 200

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[M]):
    """Some rows, and where the next page begins; None: there is none."""

    items: list[M]
    next_after: UUID | None


def page_of(rows: QuerySet[M], *, limit: int, after: UUID | None) -> Page[M]:
    """The next `limit` rows (at most PAGE_MAX) after the row `after`; one query."""
    size = max(1, min(limit, PAGE_MAX))
    if after is not None:
        rows = rows.filter(pk__gt=after)
    found = list(rows.order_by("pk")[: size + 1])
    return Page(items=found[:size], next_after=found[size - 1].pk if len(found) > size else None)
