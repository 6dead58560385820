"""Runs, steps and their feed as last heard of; never the truth, which is on the machine. Each says as of when it is."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.urls import URLPattern, path

from cloud.console import downloading, following, lists, viewer
from cloud.console.tenant_admin import TenantAdmin
from cloud.runs.models import EventCursor, RunEvent, RunSnapshot, StepSnapshot
from local_daemon.protocol import ids
from local_daemon.protocol.scopes import Scope


class SnapshotAdmin(TenantAdmin):
    """What the pages of runs and steps have in common."""

    project_lookup = "project_id"

    def get_ordering(self, request: HttpRequest) -> Any:
        """Newest first, by the index there is: over all organizations only the rows' own ids have one."""
        return ("-id",) if viewer.principal_of(request) is None else self.ordering


@admin.register(RunSnapshot)
class RunSnapshotAdmin(SnapshotAdmin):
    """Objectives; each opens on a page that follows it."""

    reads = Scope.RUNS_READ
    ordering = ("-run_id",)
    list_display = ("name", "state", "steps", "project", "location", "as_of", "run_id")
    list_select_related = ("project", "location")
    list_filter = ("state", lists.made_filter("run_id", ids.IdPrefix.RUN), lists.ProjectFilter)
    search_fields = ("title",)
    search_help_text = "A run's id, or words of its title."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """What looks like an id is looked up as one."""
        if ids.is_id(ids.IdPrefix.RUN, search_term.strip()):
            return queryset.filter(run_id=search_term.strip()), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description="title")
    def name(self, row: RunSnapshot) -> str:
        """What it is called, or its id."""
        return str(row)

    @admin.display(description="steps")
    def steps(self, row: RunSnapshot) -> str:
        """How many steps are in which state."""
        counts: dict[str, Any] = row.view.get("step_counts", {})
        return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()) if count)

    def change_view(self, request: HttpRequest, object_id: str, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """The page that follows the run."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return following.run_page(self, request, self.get_object(request, object_id))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """With what the page tells of it."""
        found = super().get_object(request, object_id, from_field)
        return RunSnapshot.objects.select_related("project", "location__instance__connector").get(pk=found.pk)


@admin.register(StepSnapshot)
class StepSnapshotAdmin(SnapshotAdmin):
    """Units of work; each opens on a page that follows it and shows what its machine has."""

    reads = Scope.STEPS_READ
    ordering = ("-step_id",)
    list_display = ("name", "state", "executor", "summary", "project", "as_of", "run_id", "step_id")
    list_select_related = ("project",)
    list_filter = ("state", lists.made_filter("step_id", ids.IdPrefix.STEP), lists.ProjectFilter)
    search_fields = ("title", "executor__exact")
    search_help_text = "A step's or a run's id, an executor, or words of the title."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """What looks like an id is looked up as one."""
        term = search_term.strip()
        for prefix, column in ((ids.IdPrefix.STEP, "step_id"), (ids.IdPrefix.RUN, "run_id")):
            if ids.is_id(prefix, term):
                return queryset.filter(**{column: term}), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description="title")
    def name(self, row: StepSnapshot) -> str:
        """What it is called, or its id."""
        return str(row)

    @admin.display(description="summary")
    def summary(self, row: StepSnapshot) -> str:
        """How it failed, or what it came to."""
        failure: dict[str, Any] = row.view.get("failure") or {}
        return str(failure.get("detail") or row.view.get("summary", ""))[:200]

    def get_urls(self) -> list[URLPattern]:
        """With the artifacts' downloads, and what it says while it is at work."""
        download = path(
            "<uuid:object_id>/artifact/<str:artifact_id>/",
            self.admin_site.admin_view(self.artifact),
            name="runs_stepsnapshot_artifact",
        )
        tail = path("<uuid:object_id>/tail/", self.admin_site.admin_view(self.tail), name="runs_stepsnapshot_tail")
        return [download, tail, *super().get_urls()]

    def tail(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """What it says, after what a page has of it."""
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        return following.tail(request, self.get_object(request, str(object_id)))

    def artifact(self, request: HttpRequest, object_id: Any, artifact_id: str) -> HttpResponseBase:
        """One artifact of the step, as a file."""
        if not self.may(request, Scope.ARTIFACTS_READ):
            raise PermissionDenied
        return downloading.download(request, self.get_object(request, str(object_id)), artifact_id)

    def change_view(self, request: HttpRequest, object_id: str, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """The page that follows the step."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return following.step_page(self, request, self.get_object(request, object_id))


@admin.register(RunEvent)
class RunEventAdmin(TenantAdmin):
    """What happened, in the order in which the cloud took it in."""

    reads = Scope.RUNS_READ
    project_lookup = "project_id"
    ordering = ("-id",)
    list_display = ("id", "event_type", "at", "project", "run_id", "step_id", "seq")
    list_select_related = ("project",)
    list_filter = (lists.ProjectFilter,)
    search_fields = ("run_id__exact",)
    search_help_text = "A run's id."


class MovedFilter(lists.PeriodFilter):
    """Logs of which something was heard in the last days; all of them unless somebody says otherwise."""

    title = "last moved"
    column = "moved_at"
    default = "any"


class PlaceFilter(lists.ProjectFilter):
    """Logs of the repositories that serve a project."""

    column = "location__project_id"


@admin.register(EventCursor)
class EventCursorAdmin(TenantAdmin):
    """How far each machine's log was taken in."""

    reads = Scope.RUNS_READ
    project_lookup = "location__project_id"
    ordering = ("-id",)
    list_display = ("location", "log_id", "seq", "moved_at", "epoch", "put_back_at")
    list_select_related = ("location",)
    list_filter = (PlaceFilter, MovedFilter)
    search_fields = ("log_id__exact", "location__repository_label", "location__repository_id__exact")
    search_help_text = "A log's or a repository's id, or words of what the repository is called."
