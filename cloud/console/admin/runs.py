"""Runs, steps and their feed as last heard of; never the truth, which is on the machine. Each says as of when it is."""

from typing import Any

from django.contrib import admin

from cloud.console.tenant_admin import TenantAdmin
from cloud.runs.models import EventCursor, RunEvent, RunSnapshot, StepSnapshot
from local_daemon.protocol.scopes import Scope


@admin.register(RunSnapshot)
class RunSnapshotAdmin(TenantAdmin):
    """Objectives."""

    reads = Scope.RUNS_READ
    project_lookup = "project_id"
    ordering = ("-run_id",)
    list_display = ("title", "state", "steps", "project", "location", "as_of", "run_id")
    list_select_related = ("project", "location")
    list_filter = ("state",)
    search_fields = ("=run_id", "title")

    @admin.display(description="steps")
    def steps(self, row: RunSnapshot) -> str:
        """How many steps are in which state."""
        counts: dict[str, Any] = row.view.get("step_counts", {})
        return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()) if count)


@admin.register(StepSnapshot)
class StepSnapshotAdmin(TenantAdmin):
    """Units of work."""

    reads = Scope.STEPS_READ
    project_lookup = "project_id"
    ordering = ("-step_id",)
    list_display = ("title", "state", "executor", "summary", "project", "as_of", "run_id", "step_id")
    list_select_related = ("project",)
    list_filter = ("state", "executor")
    search_fields = ("=step_id", "=run_id", "title")

    @admin.display(description="summary")
    def summary(self, row: StepSnapshot) -> str:
        """How it failed, or what it came to."""
        failure: dict[str, Any] = row.view.get("failure") or {}
        return str(failure.get("detail") or row.view.get("summary", ""))[:200]


@admin.register(RunEvent)
class RunEventAdmin(TenantAdmin):
    """What happened, in the order in which the cloud took it in."""

    reads = Scope.RUNS_READ
    project_lookup = "project_id"
    ordering = ("-id",)
    list_display = ("id", "event_type", "at", "project", "run_id", "step_id", "seq")
    list_select_related = ("project",)
    list_filter = ("event_type",)
    search_fields = ("=run_id", "=step_id", "=call_id")


@admin.register(EventCursor)
class EventCursorAdmin(TenantAdmin):
    """How far each machine's log was taken in."""

    reads = Scope.RUNS_READ
    project_lookup = "location__project_id"
    list_display = ("location", "log_id", "seq", "moved_at", "epoch")
    list_select_related = ("location",)
