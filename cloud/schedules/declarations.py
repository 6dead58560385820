"""Which work is periodic, declared in code: the table of schedules follows it, at each migration and worker's start.

Minutes at least: anything quicker has a loop of its own, for django-q2 looks every half minute. Every task is
single-flight (`runner`) and idempotent, because the queue may hand one out twice. Tests:
tests/integration/cloud/schedules/.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from django.db import transaction
from django_q.models import Schedule

RUNNER = "cloud.schedules.runner.run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One periodic task: the path of a callable without arguments, run every so many minutes, counted from midnight UTC
    plus an offset."""

    name: str
    func: str
    every_minutes: int
    offset_minutes: int = 0


_TASKS = (
    # Only what was sealed since is counted: the dashboard's newest bar is the hour that one is in.
    Declaration(name="audit rollups", func="cloud.schedules.audit_rollups.run", every_minutes=5),
    Declaration(
        name="audit retention", func="cloud.schedules.audit_retention.run", every_minutes=1440, offset_minutes=187
    ),
    Declaration(name="retention", func="cloud.schedules.retention.run", every_minutes=60, offset_minutes=37),
    Declaration(name="polling", func="cloud.schedules.polling.run", every_minutes=1),
    Declaration(name="scheduled runs", func="cloud.schedules.firing.run", every_minutes=1),
    Declaration(name="tenant purge", func="cloud.schedules.tenant_purge.run", every_minutes=60, offset_minutes=20),
    # What /readyz and the metrics show of the worker.
    Declaration(name="worker beat", func="cloud.schedules.worker_beat.run", every_minutes=1),
)
DECLARATIONS: Mapping[str, Declaration] = MappingProxyType({task.name: task for task in _TASKS})


def schedules_declare(*, using: str = "default") -> None:
    """Make the table of schedules what is declared: added, changed, removed. A person's change to one is undone; the
    next run of one that did not change is kept, so that what was missed while nothing ran is run at once."""
    with transaction.atomic(using=using):
        schedules = Schedule.objects.using(using)
        have = {row.name: row for row in schedules.select_for_update().filter(func__startswith="cloud.schedules.")}
        for declared in DECLARATIONS.values():
            row = have.pop(declared.name, None) or Schedule(name=declared.name)
            facts = {
                "func": RUNNER,
                "args": repr((declared.name,)),
                "schedule_type": Schedule.MINUTES,
                "minutes": declared.every_minutes,
                "repeats": -1,
            }
            if row.pk is None or any(getattr(row, name) != value for name, value in facts.items()):
                for name, value in facts.items():
                    setattr(row, name, value)
                row.next_run = next_run(declared, now=datetime.now(UTC))
                row.save(using=using)
        schedules.filter(pk__in=[row.pk for row in have.values()]).delete()


def next_run(declared: Declaration, *, now: datetime) -> datetime:
    """The first moment after `now` at which the task is due."""
    every = timedelta(minutes=declared.every_minutes)
    first = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(minutes=declared.offset_minutes) - every
    passed = (now - first) // every
    return first + (passed + 1) * every
