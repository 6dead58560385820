"""What keeps long lists quick: counting to a bound, filters with fixed words, and a look at the last days first.

Deliberately no `count(*)` and no `SELECT DISTINCT` over a whole table: a list of a million rows costs what its page
costs. Used by `admin/`. Tests: tests/integration/cloud/console/test_lists.py and test_long_lists.py.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.db.models.options import Options
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property
from unfold.views import ChangeList

from cloud.audit import selectors as audit
from cloud.console import projects, viewer
from local_daemon.protocol import ids

_YEAR_MIN, _YEAR_MAX = 1970, 9000
COUNTED_MAX = 10_000
"""How far a list counts and pages; who looks for something older filters or searches."""


class BoundedPaginator(Paginator):
    """Pages of a list as far as COUNTED_MAX rows."""

    template_name = "console/pages.html"
    counted_max = COUNTED_MAX

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by().values("pk")[: COUNTED_MAX + 1].count())

    @property
    def is_more(self) -> bool:
        """Whether there are more rows than are counted."""
        return self._counted > COUNTED_MAX

    @cached_property
    def count(self) -> int:
        """How many rows can be paged through."""
        return min(self._counted, COUNTED_MAX)


class BoundedList(ChangeList):
    """A list that counts its rows to a bound and says so below them, and nowhere else."""

    def apply_select_related(self, qs: QuerySet) -> QuerySet:
        """What a page names for its rows (`list_select_related`), by a query each for the fifty there are.

        Joined, the page's order is lost on the planner where it takes small tables for emptier than they are, which
        nobody analyzes: it would then read and sort all of a long one."""
        if isinstance(self.list_select_related, list | tuple):
            return qs.prefetch_related(*self.list_select_related)
        return super().apply_select_related(qs)

    def get_results(self, request: HttpRequest) -> None:
        """The page's rows; without the heading's "Show all", which would show no more."""
        super().get_results(request)
        self.full_result_count = self.result_count


_ASKED = frozenset({"exact", "in", "isempty", "isnull"})
"""How a filter's column may be asked for, in an address of ours or of Django's filters."""


def is_offered(page: ModelAdmin, request: HttpRequest | None, asked: str) -> bool:
    """Whether a query's parameter is one of the page's filters, or says nothing of its rows' columns."""
    names = {name for one in page.get_list_filter(request) for name in _names_of(one)}  # type: ignore[arg-type]
    column, _, lookup = asked.rpartition(LOOKUP_SEP)
    if asked in names or (column in names and lookup in _ASKED):
        return True
    first = asked.partition(LOOKUP_SEP)[0]
    return first not in _columns_of(page.opts)


def _names_of(filtered: Any) -> tuple[str, ...]:
    """By which parameters a filter is asked."""
    if isinstance(filtered, type) and issubclass(filtered, SimpleListFilter):
        return (str(filtered.parameter_name), *getattr(filtered, "more_names", ()))
    return (str(filtered if isinstance(filtered, str) else filtered[0]),)


def _columns_of(opts: "Options[Any]") -> set[str]:
    """What Django would take for a column, or for the way to another table's."""
    fields = opts.get_fields(include_hidden=True)
    return {"pk", *(field.name for field in fields), *(field.attname for field in opts.concrete_fields)}


class WordFilter(SimpleListFilter):
    """Rows whose column is one of some fixed words."""

    words: ClassVar[Iterable[str]] = ()

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        """The words, as they are written."""
        return [(word, word) for word in self.words]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """The rows with the chosen one."""
        chosen = self.value()
        # Only what was offered: a hand-written value chooses nothing, and cannot be malformed.
        known = {value for value, _ in self.lookup_choices}
        return queryset.filter(**{str(self.parameter_name): chosen}) if chosen in known else queryset


def word_filter(column: str, words: Iterable[str], *, title: str = "") -> type[WordFilter]:
    """A filter of a column by fixed words."""
    facts = {"parameter_name": column, "title": title or column.replace("_", " "), "words": tuple(words)}
    return type(f"{column.title().replace('_', '')}Filter", (WordFilter,), facts)


class ProjectFilter(SimpleListFilter):
    """Rows of one of the projects within the viewer's reach."""

    title = "project"
    parameter_name = "project"
    column: ClassVar[str] = "project_id"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        """Where each is and what it is called; one query."""
        is_operator = viewer.principal_of(request) is None
        found = projects.projects_reached(request)[:200]
        return [(str(one.pk), projects.label(one, with_organization=is_operator)) for one in found]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """The rows of the chosen one."""
        chosen = self.value()
        # Only what was offered: a hand-written value chooses nothing, and cannot be malformed.
        known = {str(value) for value, _ in self.lookup_choices}
        return queryset.filter(**{self.column: chosen}) if chosen in known else queryset


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
        since = self.since()
        return queryset if since is None else self.begun(request, queryset, since)

    def begun(self, request: HttpRequest, rows: QuerySet, moment: datetime) -> QuerySet:
        """The rows from that moment on."""
        return rows.filter(**{f"{self.column}__gte": moment})

    def since(self) -> datetime | None:
        """From when on; None: from the beginning."""
        return None if self.value() == "any" else datetime.now(UTC) - timedelta(days=int(self.value()))


class SpanFilter(PeriodFilter):
    """A period, or the days from one to another, both included, by the organization's clocks.

    A stretch of time is a stretch of ids, which there is an index of: a quiet week costs nothing in a long record."""

    template = "console/span_filter.html"
    first_name, last_name = more_names = "from", "to"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: ModelAdmin) -> None:
        self.first, self.last = (_day(params.pop(name, None)) for name in (self.first_name, self.last_name))
        super().__init__(request, params, model, model_admin)
        passed = {*self.expected_parameters(), PAGE_VAR, ERROR_FLAG}
        self.kept = [(name, value) for name, value in request.GET.items() if name not in passed]

    def expected_parameters(self) -> list[str | None]:
        """All three."""
        return [self.parameter_name, self.first_name, self.last_name]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """The periods, each instead of days that were named."""
        has_days = self.first is not None or self.last is not None
        for value, title in self.periods:
            chosen = changelist.get_query_string({self.parameter_name: value}, remove=[self.first_name, self.last_name])
            is_chosen = not has_days and self.value() == value
            yield {"selected": is_chosen, "query_string": chosen, "display": title}

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """The rows of those days."""
        rows = super().queryset(request, queryset)
        if self.last is not None:
            rows = rows.filter(id__lt=audit.first_id_at(_midnight(self.last) + timedelta(days=1)))
        return rows

    def begun(self, request: HttpRequest, rows: QuerySet, moment: datetime) -> QuerySet:
        """The rows from that moment on."""
        return rows.filter(id__gte=audit.first_id_at(moment))

    def since(self) -> datetime | None:
        """A day that was named goes before the period; without a first day, a last one counts from the beginning."""
        if self.first is not None:
            return _midnight(self.first)
        return None if self.last is not None else super().since()


class MadeFilter(SimpleListFilter):
    """Rows by when they were begun: ids begin with the time, so that an index says it."""

    title = "begun"
    parameter_name = "begun"
    column: ClassVar[str]
    prefix: ClassVar[ids.IdPrefix]

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> tuple[tuple[str, str], ...]:
        """Since midnight, or in the last days."""
        return (("today", "today"), ("7", "last 7 days"), ("30", "last 30 days"))

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """The rows since then."""
        now = datetime.now(UTC)
        match self.value():
            case "today":
                return begun_since(queryset, self.column, self.prefix, _midnight(timezone.localdate(now)))
            case "7" | "30" as days:
                return begun_since(queryset, self.column, self.prefix, now - timedelta(days=int(days)))
        return queryset


def made_filter(column: str, prefix: ids.IdPrefix) -> type[MadeFilter]:
    """A filter by the time in that column's ids."""
    return type(f"{prefix.name.title()}MadeFilter", (MadeFilter,), {"column": column, "prefix": prefix})


def begun_since(rows: QuerySet[Any], column: str, prefix: ids.IdPrefix, since: datetime) -> QuerySet[Any]:
    """What was made since then."""
    first = f"{prefix}_{ids.ulid(now_ms=int(since.timestamp() * 1000), randomness=0)}"
    return rows.filter(**{f"{column}__gte": first})


def by_number(rows: QuerySet[Any], column: str, term: str) -> QuerySet[Any]:
    """The rows with that number; none for what is none, all where nothing is looked for."""
    text = term.strip()
    if not text:
        return rows
    return rows.filter(**{column: int(text)}) if text.isascii() and text.isdecimal() and len(text) < 19 else rows.none()


def _day(given: Any) -> date | None:
    """A day as a form sends it; what is none chooses nothing, nor does one that has no neighbours to reckon with."""
    try:
        day = date.fromisoformat(given[-1]) if given else None
    except ValueError:
        return None
    return day if day is not None and _YEAR_MIN <= day.year <= _YEAR_MAX else None


def _midnight(day: date) -> datetime:
    """By the clocks of the organization that one looks at."""
    return datetime.combine(day, time(), tzinfo=timezone.get_current_timezone())
