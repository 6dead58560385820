"""What keeps long lists quick: counting to a bound, filters with fixed words, and a look at the last days first.

Deliberately no `count(*)` and no `SELECT DISTINCT` over a whole table: a list of a million rows costs what its page
costs. Used by `admin/`. Tests: tests/integration/cloud/console/test_lists.py and test_long_lists.py.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from cloud.console import projects

COUNTED_MAX = 10_000
"""How far a list counts and pages; who looks for something older filters or searches."""


class BoundedPaginator(Paginator):
    """Pages of a list as far as COUNTED_MAX rows."""

    template_name = "console/pages.html"
    counted_max = COUNTED_MAX

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: COUNTED_MAX + 1].count())

    @property
    def is_more(self) -> bool:
        """Whether there are more rows than are counted."""
        return self._counted > COUNTED_MAX

    @cached_property
    def count(self) -> int:
        """How many rows can be paged through."""
        return min(self._counted, COUNTED_MAX)


class WordFilter(SimpleListFilter):
    """Rows whose column is one of some fixed words."""

    words: ClassVar[Iterable[str]] = ()

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        """The words, as they are written."""
        return [(word, word) for word in self.words]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """The rows with the chosen one."""
        chosen = self.value()
        return queryset.filter(**{str(self.parameter_name): chosen}) if chosen else queryset


def word_filter(column: str, words: Iterable[str], *, title: str = "") -> type[WordFilter]:
    """A filter of a column by fixed words."""
    facts = {"parameter_name": column, "title": title or column.replace("_", " "), "words": tuple(words)}
    return type(f"{column.title().replace('_', '')}Filter", (WordFilter,), facts)


class ProjectFilter(SimpleListFilter):
    """Rows of one of the projects within the viewer's reach."""

    title = "project"
    parameter_name = "project"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        """Their names; one query."""
        return [(str(project.pk), project.name) for project in projects.projects_reached(request)[:200]]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """The rows of the chosen one."""
        chosen = self.value()
        # Only what was offered: a hand-written value chooses nothing, and cannot be malformed.
        known = {str(value) for value, _ in self.lookup_choices}
        return queryset.filter(project_id=chosen) if chosen in known else queryset


class PeriodFilter(SimpleListFilter):
    """Rows of the last days; a week unless somebody says otherwise, so that a rare word is not looked for in years."""

    title = "period"
    parameter_name = "period"
    column: ClassVar[str] = "at"
    default = "7"
    periods: ClassVar[tuple[tuple[str, str], ...]] = (
        ("1", "last 24 hours"),
        ("7", "last 7 days"),
        ("30", "last 30 days"),
        ("90", "last 90 days"),
        ("any", "any time"),
    )

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> tuple[tuple[str, str], ...]:
        """How far back."""
        return self.periods

    def value(self) -> str:
        """The chosen one, or a week."""
        chosen = super().value()
        return chosen if chosen in dict(self.periods) else self.default

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Without a choice of its own for nothing: that is the default."""
        for value, title in self.periods:
            yield {
                "selected": self.value() == value,
                "query_string": changelist.get_query_string({self.parameter_name: value}),
                "display": title,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """The rows since then."""
        if self.value() == "any":
            return queryset
        return queryset.filter(**{f"{self.column}__gte": datetime.now(UTC) - timedelta(days=int(self.value()))})
