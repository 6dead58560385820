"""Scheduled work: what came of each declared task, and the runs that people have begin by themselves.

A ScheduledTask is the installation's own, fenced off for all but the operator; when it runs next stands in django-q2's
table. A RunSchedule and its firings are a tenant's. Written by `runner`, `run_schedules` and `firing`, read by
`selectors`. Tests: tests/integration/cloud/schedules/.
"""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from local_daemon.protocol import ids


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
    # Who had the last turn when its time was over, where it goes through many; the next run begins behind them.
    place = models.CharField(max_length=100, blank=True, default="", db_default="")
    runs = models.PositiveBigIntegerField(default=0)
    failures_in_a_row = models.PositiveIntegerField(default=0)
    # Runs that ended without a word: the process was killed. Each was taken up again.
    killed = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name}: {self.outcome}"


class WhenAway(models.TextChoices):
    """What happens when the machine is away at the time."""

    SKIP = "skip"  # not this time
    QUEUE = "queue"  # as soon as it is back, within a day


class RunScheduleStatus(models.TextChoices):
    """Whether it fires."""

    ACTIVE = "active"  # at its next time
    PAUSED = "paused"  # not before somebody resumes it
    DONE = "done"  # its one time is over
    DELETED = "deleted"  # never again; kept for its firings


class StoppedBecause(models.TextChoices):
    """Why a schedule stopped by itself."""

    OWNER_GONE = "owner_gone"  # whoever it fires for is no member any more, or cannot sign in
    TOKEN_ENDED = "token_ended"  # noqa: S105 - a word; the token it fires for was revoked or has expired
    RIGHTS_LOST = "rights_lost"  # whoever it fires for may not submit work there any more


class RunSchedule(models.Model):
    """A run that begins by itself: at one time, or at every time of a cron expression."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, db_index=False)
    project = models.ForeignKey("tenancy.Project", on_delete=models.PROTECT, db_constraint=False)
    # In whose name it fires, and never beyond whose rights; none: the installation's.
    membership = models.ForeignKey(
        "tenancy.Membership", on_delete=models.PROTECT, null=True, blank=True, db_constraint=False
    )
    # Where a token made it: that one's rights and limits too. No reference: another tenant's speaks for nobody here.
    token_id = models.UUIDField(null=True, blank=True)
    # Since when it is theirs: one from before they left and came back does not fire.
    owned_since = models.DateTimeField(default=timezone.now, db_default=Now())
    made_by = models.CharField(max_length=200)
    name = models.CharField(max_length=200)
    objective = models.TextField()
    tasks = models.JSONField(help_text="TaskSpecs; each becomes a step of the run.")
    # Instead of tasks; null, not empty, so that a row of before has none.
    manifest = models.JSONField(null=True, blank=True, help_text="A RunManifest: steps that depend on each other.")
    location = models.CharField(max_length=64, blank=True, help_text="Which place of the project; empty: its only one.")
    starts_at = models.DateTimeField(null=True, blank=True)
    cron = models.CharField(max_length=200, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    when_away = models.CharField(max_length=8, choices=WhenAway, default=WhenAway.SKIP)
    status = models.CharField(max_length=8, choices=RunScheduleStatus, default=RunScheduleStatus.ACTIVE)
    # Empty: it did not, or somebody resumed it.
    stopped_because = models.CharField(max_length=16, choices=StoppedBecause, blank=True, default="", db_default="")
    next_due_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="schedules_run_tenant"),
            models.CheckConstraint(
                condition=models.Q(starts_at__isnull=False, cron="") | (models.Q(starts_at=None) & ~models.Q(cron="")),
                name="schedules_run_one_time",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["next_due_at"],
                name="schedules_run_due",
                condition=models.Q(status=RunScheduleStatus.ACTIVE.value),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class FiringState(models.TextChoices):
    """What came of one time."""

    WAITING = "waiting"  # it is due: tried now, or when the machine is back
    STARTED = "started"  # the run is there
    SKIPPED = "skipped"  # the machine was away
    MISSED = "missed"  # nobody was there to fire it in time
    FAILED = "failed"  # it was refused


class RunFiring(models.Model):
    """One time of a schedule; there is never a second one for the same time."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, db_index=False)
    schedule = models.ForeignKey(
        RunSchedule, on_delete=models.PROTECT, related_name="firings", db_constraint=False, db_index=False
    )
    due_at = models.DateTimeField()
    # Who asked for it beside its times, and with what; empty: nobody, its time came. It begins in their name, not the
    # owner's. No references, as with an owner's token; neither of them: the installation's.
    asked_by = models.CharField(max_length=200, blank=True, default="", db_default="")
    asked_membership_id = models.UUIDField(null=True, blank=True)
    asked_token_id = models.UUIDField(null=True, blank=True)
    # The schedule as who asked knew it: nothing else begins in their name. None: nobody asked, or an older release.
    asked_version = models.PositiveIntegerField(null=True, blank=True)
    state = models.CharField(max_length=8, choices=FiringState, default=FiringState.WAITING)
    tries = models.PositiveIntegerField(default=0)
    run_id = models.CharField(max_length=31, blank=True)
    code = models.CharField(max_length=40, blank=True, help_text="Of the error it ended with, or waits because of.")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="schedules_firing_tenant"),
            models.UniqueConstraint(fields=["schedule", "due_at"], name="schedules_firing_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["due_at"], name="schedules_firing_open", condition=models.Q(state="waiting")),
        ]

    def __str__(self) -> str:
        return f"{self.due_at:%Y-%m-%d %H:%M} {self.state}"
