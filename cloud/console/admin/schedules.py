"""Scheduled runs, what came of their times, and the worker's own periodic tasks."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.timesince import timeuntil
from django_q.models import Schedule
from unfold.decorators import action

from cloud.console import asking, lists, scheduling
from cloud.console.tenant_admin import TenantAdmin
from cloud.schedules import declarations
from cloud.schedules.models import RunFiring, RunSchedule, RunScheduleStatus, ScheduledTask
from local_daemon.protocol.scopes import Scope


@admin.register(RunSchedule)
class RunScheduleAdmin(TenantAdmin):
    """Runs that begin by themselves; each opens on a page that says when, and what came of it."""

    reads = Scope.RUNS_READ
    project_lookup = "project_id"
    ordering = ("-id",)
    list_display = ("name", "status", "stopped", "when", "next_due_at", "last", "when_away", "project", "made_by")
    list_filter = ("status", "when_away", lists.ProjectFilter)
    search_fields = ("name", "objective")
    actions_list = ("make",)
    actions_detail = ("edit", "fire", "switch", "delete_schedule")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Those that were not deleted, each with what came of its last time: one look into an index a row shown."""
        last = RunFiring.objects.filter(schedule=OuterRef("pk")).order_by("-due_at")
        rows = super().get_queryset(request).exclude(status=RunScheduleStatus.DELETED).select_related("project")
        return rows.annotate(
            last_state=Subquery(last.values("state")[:1]), last_due_at=Subquery(last.values("due_at")[:1])
        )

    @admin.display(description="when")
    def when(self, row: RunSchedule) -> str:
        """By which clocks."""
        return f"{row.cron} ({row.time_zone})" if row.cron else f"once, {row.starts_at:%Y-%m-%d %H:%M} UTC"

    @admin.display(description="because")
    def stopped(self, row: RunSchedule) -> str | None:
        """Why it paused by itself."""
        return str(row.stopped_because).replace("_", " ") or None

    @admin.display(description="last time")
    def last(self, row: Any) -> str | None:
        """What came of it."""
        return f"{row.last_state}, {timezone.localtime(row.last_due_at):%Y-%m-%d %H:%M}" if row.last_state else None

    def has_schedule_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whether to offer changing it."""
        return self.may(request, Scope.RUNS_WRITE) and self.may(request, Scope.STEPS_WRITE)

    def has_make_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whether to offer making one: in one organization's name."""
        return asking.organizations_may(request, Scope.RUNS_WRITE) and self.has_schedule_permission(request)

    def change_view(self, request: HttpRequest, object_id: str, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """The page that shows it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, object_id)
        return scheduling.schedule_page(self, request, row, may_change=self.has_schedule_permission(request))

    @action(description="Schedule a run", url_path="make", permissions=["make"], icon="add")
    def make(self, request: HttpRequest) -> HttpResponse:
        """The page on which one is made."""
        return scheduling.make_page(self, request)

    @action(description="Change", url_path="edit", permissions=["schedule"], icon="edit")
    def edit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it does something else, or at another time."""
        return scheduling.change_page(self, request, self.get_object(request, object_id))

    @action(description="Run now", url_path="fire", permissions=["schedule"], icon="play_arrow")
    def fire(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it begins now."""
        return scheduling.fire_page(self, request, self.get_object(request, object_id))

    @action(description="Pause or resume", url_path="switch", permissions=["schedule"], icon="pause")
    def switch(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it is paused, or goes on."""
        return scheduling.status_page(self, request, self.get_object(request, object_id))

    @action(description="Delete", url_path="delete-schedule", permissions=["schedule"], icon="delete")
    def delete_schedule(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it ends."""
        return scheduling.delete_page(self, request, self.get_object(request, object_id))


@admin.register(RunFiring)
class RunFiringAdmin(TenantAdmin):
    """What came of each time of a schedule."""

    reads = Scope.RUNS_READ
    project_lookup = "schedule__project_id"
    ordering = ("-id",)
    list_display = ("due_at", "asked", "state", "schedule", "run_id", "code", "tries", "ended_at")
    list_select_related = ("schedule",)
    list_filter = ("state",)
    search_fields = ("run_id__exact", "schedule__name")
    search_help_text = "A run's id, or words of the schedule's name."

    @admin.display(description="asked by")
    def asked(self, row: RunFiring) -> str:
        """Who had it begin beside its times."""
        return row.asked_by or "its time"


@admin.register(ScheduledTask)
class ScheduledTaskAdmin(TenantAdmin):
    """The installation's own periodic work, for its operators: how each last went, and when it runs next."""

    reads = Scope.USAGE_READ
    ordering = ("name",)
    list_display = (
        "name", "outcome", "started_at", "duration_ms", "next_run", "every", "told", "runs", "failures_in_a_row",
        "killed",
    )  # fmt: skip
    list_filter = ("outcome",)
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """All of them, which are of no organization, for an operator."""
        if not request.user.is_superuser:
            raise PermissionDenied
        due = Schedule.objects.filter(name=OuterRef("name"), func=declarations.RUNNER).values("next_run")
        return ScheduledTask.objects.order_by("name").annotate(next_run_at=Subquery(due[:1]))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody else's."""
        return bool(request.user.is_superuser)

    @admin.display(description="runs next")
    def next_run(self, row: Any) -> str:
        """How long it is until then."""
        if row.next_run_at is None:
            return "when a worker starts"
        now = datetime.now(UTC)
        return f"in {timeuntil(row.next_run_at, now)}" if row.next_run_at > now else "as soon as a worker looks"

    @admin.display(description="every")
    def every(self, row: ScheduledTask) -> str:
        """As the code declares it."""
        declared = declarations.DECLARATIONS.get(row.name)
        return f"{declared.every_minutes} min" if declared else "no more"
