"""What is polled, for the installation's operators: how each source last went, and when it is asked again."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest

from cloud.console.tenant_admin import TenantAdmin
from cloud.polling.models import PollState
from local_daemon.protocol.scopes import Scope


class GoingFilter(admin.SimpleListFilter):
    """Sources that answered last, and those that did not."""

    title = "last round"
    parameter_name = "going"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        """Two."""
        return (("well", "well"), ("failing", "failing"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """By whether it failed since it last went well."""
        match self.value():
            case "well":
                return queryset.filter(failures_in_a_row=0)
            case "failing":
                return queryset.filter(failures_in_a_row__gt=0)
        return queryset


@admin.register(PollState)
class PollStateAdmin(TenantAdmin):
    """One source of one organization, such as its machines' health."""

    reads = Scope.USAGE_READ
    ordering = ("-id",)
    list_display = (
        "source", "subject_id", "organization", "polled_at", "succeeded_at", "next_poll_at", "failures_in_a_row",
        "fault", "items",
    )  # fmt: skip
    list_select_related = ("organization",)
    list_filter = (GoingFilter,)
    search_fields = ("source", "subject_id", "organization__name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Every organization's, for an operator: what a source answers is the installation's to mend."""
        if not request.user.is_superuser:
            raise PermissionDenied
        return super().get_queryset(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody else's."""
        return bool(request.user.is_superuser)
