"""Which work is periodic, declared in code: the table of schedules follows it.

Hourly work only: anything under a minute has a loop of its own, for django-q2 looks every half minute. Every task is
single-flight and idempotent, because the queue may run one twice. Tests: tests/integration/cloud/schedules/.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django_q.models import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One hourly task. `func` is the path of a callable without arguments; `minute` is the hour's it first runs at."""

    name: str
    func: str
    minute: int


DECLARATIONS = (
    # Five past, so that the hour's last transactions are sealed.
    Declaration(name="audit rollups", func="cloud.schedules.audit_rollups.run", minute=5),
)


def schedules_declare(*, using: str = "default") -> None:
    """Make the table of schedules what is declared; a person's change to one is undone, its next run is kept."""
    schedules = Schedule.objects.using(using)
    for declared in DECLARATIONS:
        facts = {"func": declared.func, "schedule_type": Schedule.HOURLY, "repeats": -1}
        schedules.update_or_create(
            name=declared.name, defaults=facts, create_defaults={**facts, "next_run": _next(declared.minute)}
        )
    schedules.filter(func__startswith="cloud.schedules.").exclude(
        name__in=[declared.name for declared in DECLARATIONS]
    ).delete()


def _next(minute: int) -> datetime:
    now = datetime.now(UTC)
    due = now.replace(minute=minute, second=0, microsecond=0)
    return due if due > now else due + timedelta(hours=1)
