"""Reading scheduled work, for the installation's operators. Tests: tests/integration/cloud/schedules/."""

from dataclasses import dataclass
from datetime import datetime

from django_q.models import Schedule

from cloud.schedules import declarations
from cloud.schedules.models import ScheduledTask
from cloud.tenancy import scope


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
