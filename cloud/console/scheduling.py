"""Scheduled runs on pages: made, changed, begun at once, paused, resumed and deleted; and one as it stands.

The form shows the next times of what it says before anything is kept. Called by `admin/schedules.py`. Tests:
tests/integration/cloud/console/test_scheduling.py.
"""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from cloud.access import authorization
from cloud.connectors import selectors
from cloud.connectors.models import Instance, Location
from cloud.console import asking, middleware, projects, viewer
from cloud.console.asking import Done, Question, Table
from cloud.console.tenant_admin import TenantAdmin
from cloud.runs.models import RunSnapshot
from cloud.schedules import owners, run_schedules
from cloud.schedules.models import RunFiring, RunSchedule, RunScheduleStatus, StoppedBecause, WhenAway
from cloud.tenancy import clocks
from local_daemon.protocol import errors, limits
from local_daemon.protocol.scopes import Scope

FIRINGS_SHOWN = 50
_LOCAL = "%Y-%m-%dT%H:%M"
_SHOWN = "%a %-d %b %Y, %H:%M"


class ScheduleForm(asking.ChangeForm):
    """What begins, where, and when."""

    name = forms.CharField(max_length=limits.TITLE_CHARACTERS, widget=UnfoldAdminTextInputWidget)
    location = forms.ChoiceField(
        required=False, label="Where", help_text="Needed where a project is in several places.",
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    objective = forms.CharField(
        required=False, label="What for", widget=UnfoldAdminTextInputWidget, help_text="The objective of its runs."
    )
    executor = forms.CharField(max_length=limits.TITLE_CHARACTERS, required=False, widget=UnfoldAdminTextInputWidget)
    goal = forms.CharField(
        required=False, label="What to do", widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
    )  # fmt: skip
    plan = forms.CharField(
        required=False,
        label="Or a whole manifest",
        help_text="As JSON, instead of the three above: steps that depend on each other, checks, budgets.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6, "spellcheck": "false"}),
    )
    cron = forms.CharField(
        max_length=200,
        required=False,
        label="Again and again",
        help_text="Minute, hour, day, month, weekday: 30 6 * * 1-5 is half past six on workdays.",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "30 6 * * 1-5"}),
    )
    starts_at = forms.DateTimeField(
        required=False,
        label="Or once, at",
        input_formats=[_LOCAL],
        widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"}),
    )
    time_zone = forms.ChoiceField(label="By the clocks of", widget=UnfoldAdminSelectWidget)
    when_away = forms.ChoiceField(
        label="When its machine is away",
        choices=[
            (WhenAway.SKIP.value, "skip: not this time"),
            (WhenAway.QUEUE.value, "queue: as soon as it is back, within a day"),
        ],
        widget=UnfoldAdminSelectWidget,
    )
    field_order = ("version", "name", "project")

    def __init__(self, request: HttpRequest, *args: Any, row: RunSchedule | None = None, **facts: Any) -> None:
        super().__init__(*args, **facts)
        if row is None:
            self.fields["project"] = projects.project_field(request)
        places, zone, executor = self.fields["location"], self.fields["time_zone"], self.fields["executor"]
        assert isinstance(places, forms.ChoiceField)
        assert isinstance(zone, forms.ChoiceField)
        places.choices = [("", "its only place"), *_places(request, row)]
        zone.choices = [(name, name) for name in clocks.names()]
        if known := _executors(request):
            # A help text is taken for markup, and what they are called is the machines' word.
            executor.help_text = format_html("On your machines: {}.", ", ".join(known))
        self.order_fields(self.field_order)

    def clean(self) -> dict[str, Any]:
        """With the local time as the moment it is there, and the manifest as what its JSON says."""
        given = dict(super().clean() or {})
        if given.get("starts_at") and given.get("time_zone"):
            local = given["starts_at"].replace(tzinfo=None)
            given["starts_at"] = local.replace(tzinfo=ZoneInfo(given["time_zone"])).astimezone(UTC)
        if given.get("plan"):
            self._read_plan(given)
        else:
            for name, sentence in (("executor", "Say who does it."), ("goal", "Say what to do, or give a manifest.")):
                if not given.get(name) and name not in self.errors:
                    self.add_error(name, sentence)
        return given

    def _read_plan(self, given: dict[str, Any]) -> None:
        if given.get("goal") or given.get("executor"):
            self.add_error("plan", "A manifest says who does what; empty those fields, or this one.")
            return
        try:
            given["plan"] = json.loads(given["plan"])
        except ValueError as error:
            self.add_error("plan", f"This is no JSON: {error}.")
            return
        if not isinstance(given["plan"], dict):
            self.add_error("plan", "A manifest is one JSON object.")

    def facts(self) -> dict[str, Any]:
        """What was asked for, as the services take it."""
        given = self.cleaned_data
        facts = {name: given[name] for name in ("name", "location", "cron", "starts_at", "time_zone", "when_away")}
        if given["plan"]:
            return {**facts, "manifest": given["plan"]}
        task = {"goal": given["goal"], "executor": given["executor"]}
        return {**facts, "objective": given["objective"] or given["name"], "tasks": [task]}


def make_page(page: TenantAdmin, request: HttpRequest) -> HttpResponse:
    """Make one, in the viewer's name."""
    question = Question(
        title="Schedule a run",
        explains="It begins by itself, in your name and with the rights you have then.",
        button="Schedule it",
        preview="Show its next times",
    )
    form = ScheduleForm(request, asking.given(request), initial={"time_zone": middleware.zone_of(request)})

    def make(given: dict[str, Any]) -> Done | Table:
        if "preview" in request.POST:
            return _preview(form)
        grant = projects.project_grant(request, Scope.RUNS_WRITE, given["project"])
        row = run_schedules.run_schedule_create(grant=grant, **form.facts())
        return Done(message=f"{row.name} begins by itself.", next_url=asking.row_url(page, row))

    return asking.ask(page, request, question, form, make)


def change_page(page: TenantAdmin, request: HttpRequest, row: RunSchedule) -> HttpResponse:
    """Have it do something else, or at another time."""
    question = Question(
        title=f"Change {row.name}",
        explains="From then on it begins in your name, and with your rights.",
        button="Change it",
        preview="Show its next times",
    )
    form = ScheduleForm(request, asking.given(request), row=row, initial=_shown(row))

    def change(given: dict[str, Any]) -> Done | Table:
        if "preview" in request.POST:
            return _preview(form)
        run_schedules.run_schedule_update(
            grant=page.grant(request, Scope.RUNS_WRITE, row),
            schedule_id=row.id,
            version=given["version"] or 0,
            changes=form.facts(),
        )
        return Done(message=f"{row.name} is changed.", next_url=asking.row_url(page, row))

    return asking.ask(page, request, question, form, change)


def fire_page(page: TenantAdmin, request: HttpRequest, row: RunSchedule) -> HttpResponse:
    """Begin it now, beside its times."""
    question = Question(
        title=f"Run {row.name} now",
        explains="A worker begins it within a minute, in your name and with your rights; its times stay as they are.",
        button="Run it now",
        facts={"next by itself": row.next_due_at or "never"},
    )

    def fire(_given: dict[str, Any]) -> Done:
        run_schedules.run_schedule_fire(grant=page.grant(request, Scope.RUNS_WRITE, row), schedule_id=row.id)
        return Done(message=f"{row.name} begins within a minute.", next_url=asking.row_url(page, row))

    return asking.ask(page, request, question, asking.ChangeForm(asking.given(request)), fire)


def status_page(page: TenantAdmin, request: HttpRequest, row: RunSchedule) -> HttpResponse:
    """Pause it, or let it go on."""
    is_paused = row.status == RunScheduleStatus.PAUSED
    service = run_schedules.run_schedule_resume if is_paused else run_schedules.run_schedule_pause
    explains = "It does not begin until somebody resumes it."
    if is_paused:
        name = ", in your name and with your rights" if row.stopped_because else ""
        explains = f"It begins again at its next time from now on{name}."
    question = Question(
        title=f"{'Resume' if is_paused else 'Pause'} {row.name}",
        explains=explains,
        button="Resume it" if is_paused else "Pause it",
        facts={"status": row.status},
    )

    def switch(given: dict[str, Any]) -> Done:
        made = service(
            grant=page.grant(request, Scope.RUNS_WRITE, row),
            schedule_id=row.id,
            expected_version=given["version"] or 0,
        )
        return Done(message=f"{row.name} is {made.status}.", next_url=asking.row_url(page, row))

    return asking.ask(page, request, question, _version_form(request, row), switch)


def delete_page(page: TenantAdmin, request: HttpRequest, row: RunSchedule) -> HttpResponse:
    """End it."""
    question = Question(
        title=f"Delete {row.name}",
        explains="It never begins again. The runs that it began stay on record.",
        button="Delete it",
        facts={"next by itself": row.next_due_at or "never"},
        is_grave=True,
    )

    def delete(given: dict[str, Any]) -> Done:
        run_schedules.run_schedule_delete(
            grant=page.grant(request, Scope.RUNS_WRITE, row),
            schedule_id=row.id,
            expected_version=given["version"] or 0,
        )
        return Done(message=f"{row.name} is deleted.", next_url=asking.list_url(page))

    return asking.ask(page, request, question, _version_form(request, row), delete)


def schedule_page(page: TenantAdmin, request: HttpRequest, row: RunSchedule, *, may_change: bool) -> HttpResponse:
    """One schedule: what it does, when it is due, and what came of its last times."""
    firings = list(RunFiring.objects.filter(schedule=row).order_by("-due_at")[:FIRINGS_SHOWN])
    named = {firing.run_id for firing in firings if firing.run_id}
    runs = RunSnapshot.objects.filter(organization_id=row.organization_id, run_id__in=named)
    known = {run.run_id: run.pk for run in runs.only("pk", "run_id")}
    context = {
        **page.admin_site.each_context(request),
        "title": row.name,
        "opts": page.model._meta,
        "schedule": row,
        "zone": timezone.get_current_timezone_name(),
        "stopped": owners.SENTENCES[StoppedBecause(row.stopped_because)] if row.stopped_because else "",
        "steps": run_schedules.manifest_of(row, name="")["steps"],
        "times": _times(row.cron, None, row.time_zone) if row.status == RunScheduleStatus.ACTIVE and row.cron else (),
        "firings": [(firing, known.get(firing.run_id)) for firing in firings],
        "may_change": may_change,
    }
    return TemplateResponse(request, "console/schedule.html", context)


def _preview(form: ScheduleForm) -> Table:
    given = form.facts()
    if bool(given["cron"]) == bool(given["starts_at"]):
        raise errors.InvalidRequest("Say either when it starts or a cron expression.")
    times = _times(given["cron"], given["starts_at"], given["time_zone"])
    return Table(title="Its next times", head=("", f"By the clocks of {given['time_zone']}", "UTC"), rows=times)


def _times(cron: str, starts_at: datetime | None, time_zone: str) -> tuple[tuple[str, ...], ...]:
    """The next five: their number, the local time, and UTC. Raises InvalidRequest."""
    now = datetime.now(UTC)
    dues = [starts_at] if starts_at else run_schedules.next_dues(cron=cron, time_zone=time_zone, after=now)
    zone = ZoneInfo(time_zone)
    return tuple(
        (str(number), f"{due.astimezone(zone):{_SHOWN}}", f"{due.astimezone(UTC):{_SHOWN}}")
        for number, due in enumerate(dues, start=1)
    )


def _shown(row: RunSchedule) -> dict[str, Any]:
    """The form as the row is: simple where the simple fields say all of it."""
    simple = row.manifest is None and len(row.tasks) == 1 and row.tasks[0].keys() <= {"goal", "executor"}
    shown = {
        "version": row.version,
        "name": row.name,
        "location": row.location,
        "cron": row.cron,
        "starts_at": row.starts_at and f"{row.starts_at.astimezone(ZoneInfo(row.time_zone)):{_LOCAL}}",
        "time_zone": row.time_zone,
        "when_away": row.when_away,
    }
    if simple:
        return {**shown, "objective": row.objective, **row.tasks[0]}
    plan = row.manifest or {
        name: value for name, value in run_schedules.manifest_of(row, name="").items() if name not in ("name", "title")
    }
    return {**shown, "plan": json.dumps(plan, indent=2, ensure_ascii=False)}


def _places(request: HttpRequest, row: RunSchedule | None) -> list[tuple[str, str]]:
    found = Location.objects.filter(is_shared=True, project__in=projects.projects_reached(request))
    if row is not None:
        found = found.filter(project_id=row.project_id)
    listed = found.select_related("project", "instance__connector").order_by("project__name", "id")[:200]
    return [(str(one.id), f"{one.project}: {one} on {one.instance.connector.label}") for one in listed]


def _executors(request: HttpRequest) -> list[str]:
    """What is installed on the machines that the viewer sees."""
    principal = viewer.principal_of(request)
    if principal is None:
        rows: QuerySet[Any] = Instance.objects.all()
    elif Scope.CONNECTORS_READ in principal.scopes:
        rows = selectors.instances_within_reach(authorization.authorize(principal, Scope.CONNECTORS_READ))
    else:
        return []
    there = rows.filter(missing_since=None).values_list("executors", flat=True)[:200]
    return sorted({name for names in there for name in names or ()})


def _version_form(request: HttpRequest, row: RunSchedule) -> forms.Form:
    return asking.ChangeForm(asking.given(request), initial={"version": row.version})
