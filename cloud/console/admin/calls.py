"""Calls for machines: who asked what, where it stands, how it went."""

from typing import Any

from django.contrib import admin

from cloud.console import lists
from cloud.console.tenant_admin import TenantAdmin
from cloud.dispatch.models import OperationCall
from local_daemon.protocol import operations
from local_daemon.protocol.scopes import Scope


class CallPeriod(lists.PeriodFilter):
    """Calls accepted lately."""

    column = "accepted_at"


@admin.register(OperationCall)
class OperationCallAdmin(TenantAdmin):
    """Remote calls, without what they carried: a prompt is for the machine and its planner."""

    reads = Scope.AUDIT_READ
    project_lookup = "project_id"
    ordering = ("-id",)
    list_display = (
        "operation", "state", "outcome", "principal_label", "project", "location", "accepted_at", "duration", "id",
    )  # fmt: skip
    list_select_related = ("project", "location")
    list_filter = (
        "state",
        lists.word_filter("operation", sorted(operations.REMOTE_OPERATIONS)),
        lists.ProjectFilter,
        CallPeriod,
    )
    search_fields = ("id__exact", "principal_label")
    exclude = ("request", "answer", "idempotency_key")

    @admin.display(description="outcome")
    def outcome(self, row: OperationCall) -> str:
        """The error's code, or ok."""
        return row.answer_code or ("ok" if row.answer_status else "")

    @admin.display(description="ms")
    def duration(self, row: OperationCall) -> Any:
        """From acceptance to its end."""
        return round((row.ended_at - row.accepted_at).total_seconds() * 1000) if row.ended_at else None
