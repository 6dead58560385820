"""The audit: what happened, its chain, its checkpoints and its counts. To look at and to export; nobody changes it."""

import re
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.html import format_html
from unfold.decorators import action

from cloud.audit import selectors
from cloud.audit.event_types import EventType
from cloud.audit.models import AuditCheckpoint, AuditEvent, AuditPruning, AuditRollup, AuditRollupCursor, AuditSeal
from cloud.console import chains, exporting, lists, targets, viewer
from cloud.console.tenant_admin import TenantAdmin
from local_daemon.protocol import ids
from local_daemon.protocol.scopes import Scope

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[a-z]+_[0-9a-z]{26}")


class ChainAdmin(TenantAdmin):
    """What the pages of the chain's parts have in common."""

    reads = Scope.AUDIT_READ

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the name of each row's chain."""
        return chains.named(super().get_queryset(request))

    @admin.display(description="chain")
    def chain(self, row: Any) -> str:
        """Whose it is: an organization's, of one that is gone, or the installation's."""
        return chains.name_in(row)


@admin.register(AuditEvent)
class AuditEventAdmin(ChainAdmin):
    """What happened, newest first."""

    project_lookup = "project_id"
    ordering = ("-id",)
    list_display = ("at", "event_type", "outcome", "actor_label", "target_short")
    list_filter = (
        lists.word_filter("event_type", sorted(word.value for word in EventType), title="what"),
        "outcome",
        "actor_kind",
        lists.ProjectFilter,
        chains.ChainFilter,
        lists.SpanFilter,
    )
    search_fields = ("actor_label",)
    search_help_text = "A call's id, a target's id, or who did it."
    fields = (
        "at", "event_type", "outcome", "actor_label", "actor_kind", "actor_id", "client_address", "target_kind",
        "target", "project_id", "call", "duration_ms", "details", "chain", "id",
    )  # fmt: skip
    readonly_fields = ("target", "call", "chain")
    actions_list = ("export_csv", "export_jsonl", "show_chains")

    def get_list_display(self, request: HttpRequest) -> Any:
        """An operator sees several chains. The rest of a row is on its page: the list fits a screen."""
        shown = super().get_list_display(request)
        return shown if viewer.principal_of(request) is not None else (*shown, "chain")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """What looks like an id is looked up as one; several columns at once would use no index."""
        term = search_term.strip()
        if ids.is_id(ids.IdPrefix.CALL, term):
            return queryset.filter(call_id=term), False
        if "@" not in term and len(term) > 25:
            return queryset.filter(target_id=term), False
        return super().get_search_results(request, queryset, search_term)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list; its buttons export what it shows, for the theme's own lead to the page without its filters."""
        response = super().changelist_view(request, extra_context)
        query = request.GET.urlencode()
        for button in (getattr(response, "context_data", None) or {}).get("actions_list", ()):
            button["path"] = f"{button['path']}?{query}" if query else button["path"]
        return response

    @admin.display(description="of which")
    def target(self, row: AuditEvent) -> str:
        """What it happened to, with the way there; a link leads nowhere for who may not see it, or once it is gone."""
        return _linked(row.target_kind, row.target_id, shown=row.target_id)

    @admin.display(description="of which")
    def target_short(self, row: AuditEvent) -> str:
        """The same in a column: what kind, and both ends of its id."""
        of_which = row.target_id
        shown = f"{of_which[:8]}…{of_which[-8:]}" if _ID.fullmatch(of_which) else of_which
        return format_html("{} {}", row.target_kind, _linked(row.target_kind, of_which, shown=shown))

    @admin.display(description="call")
    def call(self, row: AuditEvent) -> str:
        """The call that it belongs to, with the way there."""
        return _linked("call", row.call_id, shown=row.call_id)

    def has_export_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whoever reads it may take it along."""
        return self.has_view_permission(request)

    @action(description="Export CSV", url_path="export.csv", permissions=["export"], icon="download")
    def export_csv(self, request: HttpRequest) -> HttpResponseBase:
        """What the list's filters leave, as a table."""
        return exporting.export(self, request, exporting.Format.CSV)

    @action(description="Export JSON lines", url_path="export.jsonl", permissions=["export"], icon="download")
    def export_jsonl(self, request: HttpRequest) -> HttpResponseBase:
        """What the list's filters leave, one JSON object a line."""
        return exporting.export(self, request, exporting.Format.JSONL)

    def has_operate_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whether they look after the installation."""
        return bool(request.user.is_superuser)

    @action(description="Chains", url_path="chains", permissions=["operate"], icon="link")
    def show_chains(self, request: HttpRequest) -> HttpResponse:
        """The page of all chains, those of organizations that are gone included."""
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": "Chains"}
        return chains.chains_page(request, context)


def _linked(kind: str, target_id: str, *, shown: str) -> str:
    url = targets.url_of(kind, target_id)
    return format_html('<a class="console-link" href="{}" title="{}">{}</a>', url, target_id, shown) if url else shown


class LinkFilter(lists.PeriodFilter):
    """Links sealed in the last days, and what is signed of them; all of them unless somebody says otherwise.

    Neither has an index by time: of one organization they are known by the number of the days' first link, of all by
    their own ids, which begin with the time."""

    default = "any"

    def begun(self, request: HttpRequest, rows: QuerySet[Any], moment: datetime) -> QuerySet[Any]:
        """The rows from that moment on."""
        principal = viewer.principal_of(request)
        if principal is None:
            return rows.filter(id__gte=selectors.first_id_at(moment))
        return rows.filter(seq__gte=selectors.first_seq_since(principal.organization_id, moment))


class SignedFilter(lists.PeriodFilter):
    """What was signed in the last days; there are few."""

    column = "signed_at"
    default = "any"


class CountedFilter(SignedFilter):
    """What was counted in the last days."""

    column = "aggregated_at"


class LinkAdmin(ChainAdmin):
    """What the pages of links and of checkpoints have in common."""

    list_filter = (LinkFilter, chains.ChainFilter)

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """The newest first, by the index there is."""
        return ("-id",) if viewer.principal_of(request) is None else ("-seq",)


@admin.register(AuditSeal)
class AuditSealAdmin(LinkAdmin):
    """The chain, link by link."""

    list_display = ("seq", "chain", "event_id", "digest", "sealed_at")
    search_fields = ("event_id__exact",)
    fields = ("seq", "chain", "event_id", "digest", "previous_digest", "event_digest", "sealed_at")
    readonly_fields = ("chain", "digest", "previous_digest", "event_digest")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By an event's id; anything else finds nothing."""
        return exporting.by_uuid(queryset, "event_id", search_term), False

    @admin.display(description="hash")
    def digest(self, row: AuditSeal) -> str:
        """In hexadecimal."""
        return bytes(row.hash).hex()

    @admin.display(description="previous hash")
    def previous_digest(self, row: AuditSeal) -> str:
        """In hexadecimal."""
        return bytes(row.prev_hash).hex()

    @admin.display(description="event's hash")
    def event_digest(self, row: AuditSeal) -> str:
        """In hexadecimal."""
        return bytes(row.event_hash).hex()


@admin.register(AuditCheckpoint)
class AuditCheckpointAdmin(LinkAdmin):
    """The chain's signed heads."""

    list_display = ("seq", "chain", "digest", "signed_at")
    search_fields = ("seq",)
    search_help_text = "A link's number."
    fields = ("seq", "chain", "digest", "signing_key", "signed_at")
    readonly_fields = ("chain", "digest", "signing_key")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By the number of the link that it signs."""
        return lists.by_number(queryset, "seq", search_term), False

    @admin.display(description="hash")
    def digest(self, row: AuditCheckpoint) -> str:
        """In hexadecimal."""
        return bytes(row.hash).hex()

    @admin.display(description="public key")
    def signing_key(self, row: AuditCheckpoint) -> str:
        """In hexadecimal."""
        return bytes(row.public_key).hex()


@admin.register(AuditPruning)
class AuditPruningAdmin(ChainAdmin):
    """Which links of the chain were removed by retention, signed."""

    ordering = ("-id",)
    list_display = ("first_seq", "seq", "chain", "newest_at", "signed_at")
    list_filter = (SignedFilter, chains.ChainFilter)
    search_fields = ("seq",)
    search_help_text = "The number of a link that was removed."
    fields = ("first_seq", "seq", "chain", "digest", "newest_at", "signed_at")
    readonly_fields = ("chain", "digest")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By the number of any link that it took away."""
        return lists.by_number(lists.by_number(queryset, "first_seq__lte", search_term), "seq__gte", search_term), False

    @admin.display(description="hash")
    def digest(self, row: AuditPruning) -> str:
        """Of the last removed link, in hexadecimal."""
        return bytes(row.hash).hex()


class BucketFilter(SignedFilter):
    """Counts of the last days."""

    column = "bucket_start"


@admin.register(AuditRollup)
class AuditRollupAdmin(TenantAdmin):
    """How often what happened."""

    reads = Scope.USAGE_READ
    ordering = ("-bucket_start", "event_type")
    list_display = ("bucket_start", "period", "event_type", "outcome", "count", "organization")
    list_select_related = ("organization",)
    list_filter = (
        "period",
        lists.word_filter("event_type", sorted(word.value for word in EventType), title="what"),
        "outcome",
        BucketFilter,
    )
    search_fields = ("event_type",)


@admin.register(AuditRollupCursor)
class AuditRollupCursorAdmin(TenantAdmin):
    """When the audit was last counted, and how far."""

    reads = Scope.USAGE_READ
    ordering = ("organization_id",)
    list_display = ("organization", "seq", "aggregated_at")
    list_select_related = ("organization",)
    list_filter = (CountedFilter,)
    search_fields = ("organization__name",)
