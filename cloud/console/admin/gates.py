"""Decisions that work waits for, and the page on which a person takes one."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action

from cloud.console import deciding, lists
from cloud.console.tenant_admin import TenantAdmin
from cloud.runs.models import GateSnapshot
from local_daemon.protocol.scopes import Scope


@admin.register(GateSnapshot)
class GateSnapshotAdmin(TenantAdmin):
    """Gates, as last heard of."""

    reads = Scope.GATES_READ
    project_lookup = "project_id"
    ordering = ("-gate_id",)
    list_display = ("reason", "kind", "state", "project", "decided_by", "expires_at", "as_of", "gate_id")
    list_select_related = ("project",)
    list_filter = ("state", "kind", lists.ProjectFilter)
    search_fields = ("gate_id__exact", "step_id__exact", "run_id__exact")
    search_help_text = "The id of a gate, a step or a run."
    actions_detail = ("decide",)

    @admin.display(description="reason")
    def reason(self, row: GateSnapshot) -> str:
        """Why it waits."""
        return str(row.view.get("question") or row.view.get("reason") or "a decision")[:200]

    @admin.display(description="decided by")
    def decided_by(self, row: GateSnapshot) -> str | None:
        """Who decided it, as the machine was told."""
        return row.view.get("decided_by")

    def has_decide_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whether to offer deciding."""
        return self.may(request, Scope.GATES_DECIDE)

    @action(description="Decide", url_path="decide", permissions=["decide"], icon="gavel")
    def decide(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which the gate is decided."""
        return deciding.decide_page(self, request, object_id)
