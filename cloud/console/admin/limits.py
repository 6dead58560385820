"""What an organization and its tokens may use, and what they used. It is set on the subject's page (`allotting`)."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.decorators import action

from cloud.access import authorization, selectors
from cloud.access.models import Token
from cloud.console import asking, exporting, lists, viewer
from cloud.console.templatetags.console_numbers import dollars
from cloud.console.tenant_admin import TenantAdmin
from cloud.limits.models import Limit, Usage, UsageKind
from local_daemon.protocol.scopes import Scope


class SubjectFilter(admin.SimpleListFilter):
    """Limits by whose they are."""

    title = "of"
    parameter_name = "of"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        """Two."""
        return (("organization", "whole organizations"), ("token", "tokens"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """An organization's own name no token."""
        match self.value():
            case "organization":
                return queryset.filter(token=None)
            case "token":
                return queryset.exclude(token=None)
        return queryset


@admin.register(Limit)
class LimitAdmin(TenantAdmin):
    """What was set; where nothing was, the installation's own counts."""

    reads = Scope.USAGE_READ
    ordering = ("-id",)
    list_display = (
        "subject", "organization", "calls_per_minute", "runs_at_once", "artifact_bytes_per_day", "cost", "changed_at",
    )  # fmt: skip
    list_select_related = ("organization", "token")
    list_filter = (SubjectFilter,)
    search_fields = ("token__name",)
    actions_list = ("own",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Whose token one sees, their limits: as everywhere else."""
        return super().get_queryset(request).filter(Q(token=None) | Q(token__in=_tokens_named(request)))

    @admin.display(description="of")
    def subject(self, row: Limit) -> str:
        """The token, or all of the organization."""
        return f"token {row.token.name}" if row.token else "the whole organization"

    @admin.display(description="cost a month")
    def cost(self, row: Limit) -> str:
        """In dollars."""
        return dollars(row.cost_micros_per_month)

    def has_own_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whether to offer the organization's: to who sees all of one."""
        principal = viewer.principal_of(request)
        return principal is not None and principal.project_ids is None and asking.organizations_may(request, self.reads)

    @action(description="The organization's limits", url_path="own", permissions=["own"], icon="speed")
    def own(self, request: HttpRequest) -> HttpResponse:
        """What is left of them, on the organization's own page."""
        principal = viewer.principal_of(request)
        if principal is None:
            raise Http404
        return HttpResponseRedirect(reverse("admin:tenancy_organization_limits", args=[principal.organization_id]))

    def change_view(self, request: HttpRequest, object_id: str, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """They are shown and set where their subject is."""
        row: Limit = self.get_object(request, object_id)
        if row.token_id is not None:
            return HttpResponseRedirect(reverse("admin:access_token_limits", args=[row.token_id]))
        return HttpResponseRedirect(reverse("admin:tenancy_organization_limits", args=[row.organization_id]))


class UsagePeriod(lists.PeriodFilter):
    """Use of the last days."""

    column = "day"
    default = "30"


@admin.register(Usage)
class UsageAdmin(TenantAdmin):
    """What was used, day by day."""

    reads = Scope.USAGE_READ
    ordering = ("-day", "-id")
    list_display = ("day", "kind", "amount", "token", "organization")
    list_select_related = ("organization",)
    list_filter = (lists.word_filter("kind", [kind.value for kind in UsageKind]), UsagePeriod)
    search_fields = ("token_id",)
    search_help_text = "Words of a token's name, or its id."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By whose use it was; a token that is gone is found by its id."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if len(term) == len(str(UUID(int=0))):
            return exporting.by_uuid(queryset, "token_id", term), False
        return queryset.filter(token_id__in=_tokens_named(request).filter(name__icontains=term).values("pk")), False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what whose token it was is called, for who sees that token."""
        names = _tokens_named(request).filter(pk=OuterRef("token_id")).values("name")
        return super().get_queryset(request).annotate(token_name=Subquery(names[:1]))

    @admin.display(description="token")
    def token(self, row: Any) -> str | None:
        """Whose use it was; the installation's own schedules and pages have none."""
        return row.token_name or (str(row.token_id) if row.token_id else None)


def _tokens_named(request: HttpRequest) -> QuerySet[Token]:
    """The tokens that the viewer would see in their list, an operator of the installation all."""
    principal = viewer.principal_of(request)
    if principal is None:
        return Token.objects.all()
    if Scope.TOKENS_READ not in principal.scopes:
        return Token.objects.none()
    return selectors.tokens_within_reach(authorization.authorize(principal, Scope.TOKENS_READ))
