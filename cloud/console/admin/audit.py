"""The audit: what happened, its chain, its checkpoints and its counts. To look at and to export; nobody changes it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.html import format_html
from unfold.decorators import action

from cloud.audit.event_types import EventType
from cloud.audit.models import AuditCheckpoint, AuditEvent, AuditPruning, AuditRollup, AuditRollupCursor, AuditSeal
from cloud.console import exporting, lists, targets, viewer
from cloud.console.tenant_admin import TenantAdmin
from local_daemon.protocol import ids
from local_daemon.protocol.scopes import Scope


@admin.register(AuditEvent)
class AuditEventAdmin(TenantAdmin):
    """What happened, newest first."""

    reads = Scope.AUDIT_READ
    project_lookup = "project_id"
    ordering = ("-id",)
    list_display = ("at", "event_type", "outcome", "actor_label", "target_kind", "duration_ms", "target", "call_id")
    list_filter = (
        lists.word_filter("event_type", sorted(word.value for word in EventType), title="what"),
        "outcome",
        "actor_kind",
        lists.ProjectFilter,
        lists.SpanFilter,
    )
    search_fields = ("actor_label",)
    search_help_text = "A call's id, a target's id, or who did it."
    exclude = ("transaction_id",)
    readonly_fields = ("target",)
    actions_list = ("export_csv", "export_jsonl")

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
        url = targets.url_of(row.target_kind, row.target_id)
        return format_html('<a class="console-link" href="{}">{}</a>', url, row.target_id) if url else row.target_id

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


class SealedFilter(lists.PeriodFilter):
    """Links of the last days; all of them unless somebody says otherwise."""

    column = "sealed_at"
    default = "any"


class SignedFilter(SealedFilter):
    """What was signed in the last days."""

    column = "signed_at"


class CountedFilter(SealedFilter):
    """What was counted in the last days."""

    column = "aggregated_at"


@admin.register(AuditSeal)
class AuditSealAdmin(TenantAdmin):
    """The chain, link by link."""

    reads = Scope.AUDIT_READ
    list_display = ("seq", "organization", "event_id", "digest", "sealed_at")
    list_select_related = ("organization",)
    list_filter = (SealedFilter,)
    search_fields = ("event_id__exact",)
    fields = ("seq", "organization", "event_id", "digest", "previous_digest", "event_digest", "sealed_at")
    readonly_fields = ("digest", "previous_digest", "event_digest")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """The newest first."""
        return ("-id",) if viewer.principal_of(request) is None else ("-seq",)

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
class AuditCheckpointAdmin(TenantAdmin):
    """The chain's signed heads."""

    reads = Scope.AUDIT_READ
    ordering = ("-id",)
    list_display = ("seq", "organization", "digest", "signed_at")
    list_select_related = ("organization",)
    list_filter = (SignedFilter,)
    search_fields = ("seq",)
    search_help_text = "A link's number."
    fields = ("seq", "organization", "digest", "signing_key", "signed_at")
    readonly_fields = ("digest", "signing_key")

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
class AuditPruningAdmin(TenantAdmin):
    """Which links of the chain were removed by retention, signed."""

    reads = Scope.AUDIT_READ
    ordering = ("-id",)
    list_display = ("first_seq", "seq", "organization", "newest_at", "signed_at")
    list_select_related = ("organization",)
    list_filter = (SignedFilter,)
    search_fields = ("seq",)
    search_help_text = "The number of a link that was removed."
    fields = ("first_seq", "seq", "organization", "digest", "newest_at", "signed_at")
    readonly_fields = ("digest",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By the number of any link that it took away."""
        return lists.by_number(lists.by_number(queryset, "first_seq__lte", search_term), "seq__gte", search_term), False

    @admin.display(description="hash")
    def digest(self, row: AuditPruning) -> str:
        """Of the last removed link, in hexadecimal."""
        return bytes(row.hash).hex()


class BucketFilter(SealedFilter):
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
