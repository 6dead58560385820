"""Reading scheduled work: the installation's tasks for its operators, run schedules for who may see their projects.

Tests: tests/integration/cloud/schedules/.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django_q.models import Schedule

from cloud.access.principals import Grant
from cloud.schedules import declarations
from cloud.schedules.models import RunFiring, RunSchedule, RunScheduleStatus, ScheduledTask
from cloud.tenancy import grants, scope
from cloud.tenancy.pages import Page, page_of
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """A declared task, its last run (None: never), and when it runs next (None: no worker has started yet)."""

    name: str
    every_minutes: int
    next_run_at: datetime | None
    last: ScheduledTask | None


def task_list() -> list[TaskView]:
    """Every declared task, by name; two queries. Opens the operator's scope."""
    with scope.operator():
        runs = {row.name: row for row in ScheduledTask.objects.all()}
    due = dict(Schedule.objects.filter(func=declarations.RUNNER).values_list("name", "next_run"))
    return [
        TaskView(
            name=task.name, every_minutes=task.every_minutes, next_run_at=due.get(task.name), last=runs.get(task.name)
        )
        for task in sorted(declarations.DECLARATIONS.values(), key=lambda task: task.name)
    ]


@grants.needs(Scope.RUNS_READ)
def run_schedule_page(
    *, grant: Grant, project_id: UUID | None = None, limit: int = 50, after: UUID | None = None
) -> Page[RunSchedule]:
    """Run schedules within the grant's reach that were not deleted, with their projects."""
    rows = _within_reach(grant).exclude(status=RunScheduleStatus.DELETED)
    if project_id is not None:
        rows = rows.filter(project_id=project_id)
    return page_of(rows, limit=limit, after=after)


@grants.needs(Scope.RUNS_READ)
def run_schedule_get(*, grant: Grant, schedule_id: UUID) -> RunSchedule:
    """One, with its project. Raises NotFound."""
    row = _within_reach(grant).filter(id=schedule_id).first()
    if row is None:
        raise errors.NotFound
    return row


@grants.needs(Scope.RUNS_READ)
def run_firing_list(*, grant: Grant, schedule_id: UUID, limit: int = 50) -> list[RunFiring]:
    """What came of a schedule's times, newest first. Raises NotFound."""
    row = run_schedule_get(grant=grant, schedule_id=schedule_id)
    return list(RunFiring.objects.filter(schedule=row).order_by("-due_at")[:limit])


def _within_reach(grant: Grant) -> QuerySet[RunSchedule]:
    rows = RunSchedule.objects.filter(organization_id=grant.organization_id).select_related("project")
    who = grant.principal
    if grants.reaches_everything(who):
        return rows
    within = Q(project_id__in=who.project_ids or ())
    return rows.filter(within | Q(project__workspace_id=who.workspace_id) if who.workspace_id else within)
