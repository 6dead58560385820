"""What an organization and its tokens may use, and what they used."""

from django.contrib import admin

from cloud.console import lists
from cloud.console.tenant_admin import TenantAdmin
from cloud.limits.models import Limit, Usage, UsageKind
from local_daemon.protocol.scopes import Scope


@admin.register(Limit)
class LimitAdmin(TenantAdmin):
    """What was set; where nothing was, the installation's own counts."""

    reads = Scope.USAGE_READ
    ordering = ("-id",)
    list_display = (
        "organization", "token", "calls_per_minute", "runs_at_once", "artifact_bytes_per_day", "cost_micros_per_month",
        "changed_at",
    )  # fmt: skip
    list_select_related = ("organization", "token")
    search_fields = ("token__name",)


class UsagePeriod(lists.PeriodFilter):
    """Use of the last days."""

    column = "day"
    default = "30"


@admin.register(Usage)
class UsageAdmin(TenantAdmin):
    """What was used, day by day."""

    reads = Scope.USAGE_READ
    ordering = ("-day", "-id")
    list_display = ("day", "kind", "amount", "token_id", "organization")
    list_select_related = ("organization",)
    list_filter = (lists.word_filter("kind", [kind.value for kind in UsageKind]), UsagePeriod)
