"""What came of scheduled work: one row a declared task.

The installation's own, no tenant's: fenced off for all but the operator. When a task runs next stands in django-q2's
own table. Written by `runner`, read by `selectors`. Tests: tests/integration/cloud/schedules/.
"""

from django.db import models


class TaskOutcome(models.TextChoices):
    """How a task's last run went."""

    RUNNING = "running"  # it began; while nobody holds its lock, it was killed
    OK = "ok"  # it ended
    FAILED = "failed"  # it raised


class ScheduledTask(models.Model):
    """A declared task's last run."""

    name = models.CharField(primary_key=True, max_length=100)
    outcome = models.CharField(max_length=16, choices=TaskOutcome)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    duration_ms = models.FloatField(null=True, blank=True)
    # What it says it did (a count, mostly), or the error's kind: no message, which may hold anything.
    told = models.CharField(max_length=200, blank=True)
    runs = models.PositiveBigIntegerField(default=0)
    failures_in_a_row = models.PositiveIntegerField(default=0)
    # Runs that ended without a word: the process was killed. Each was taken up again.
    killed = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name}: {self.outcome}"
