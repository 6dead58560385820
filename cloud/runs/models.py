"""What the cloud last heard of runs, steps and gates, and the feed of what happened to them.

Never the truth: that is on the machine. Each snapshot says as of when it is, and holds the machine's own view. Written
by `services.events_apply` only. Tests: tests/integration/cloud/runs/.
"""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from local_daemon.protocol import ids, states


class Snapshot(models.Model):
    """What all three have in common: whose it is, where it is, and the machine's view as of a position of its log."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, db_index=False)
    project = models.ForeignKey("tenancy.Project", on_delete=models.PROTECT, db_constraint=False, db_index=False)
    location = models.ForeignKey("connectors.Location", on_delete=models.PROTECT, db_constraint=False, db_index=False)
    run_id = models.CharField(max_length=31)
    as_of = models.DateTimeField(help_text="When the machine recorded it.")
    seq = models.BigIntegerField(help_text="The position in the machine's log that says so.")
    view = models.JSONField(help_text="The machine's view, whole.")

    class Meta:
        abstract = True


class RunSnapshot(Snapshot):
    """An objective as last heard of."""

    state = models.CharField(max_length=16, choices=[(state.value, state.value) for state in states.RunState])
    title = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["location", "run_id"], name="runs_run_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization", "-run_id"], name="runs_run_recent"),
            models.Index(fields=["project", "state", "-run_id"], name="runs_run_project"),
            models.Index(fields=["project", "-run_id"], name="runs_run_by_project"),
            models.Index(fields=["organization", "state", "-run_id"], name="runs_run_by_state"),
        ]

    def __str__(self) -> str:
        return self.title or self.run_id


class StepSnapshot(Snapshot):
    """A unit of work as last heard of."""

    step_id = models.CharField(max_length=31)
    state = models.CharField(max_length=16, choices=[(state.value, state.value) for state in states.StepState])
    title = models.CharField(max_length=200, blank=True)
    executor = models.CharField(max_length=40, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["location", "step_id"], name="runs_step_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization", "-step_id"], name="runs_step_recent"),
            models.Index(fields=["location", "run_id"], name="runs_step_run"),
            models.Index(fields=["project", "-step_id"], name="runs_step_by_project"),
            models.Index(fields=["organization", "run_id", "-step_id"], name="runs_step_by_run"),
            models.Index(fields=["organization", "state", "-step_id"], name="runs_step_by_state"),
        ]

    def __str__(self) -> str:
        return self.title or self.step_id


class GateSnapshot(Snapshot):
    """A decision asked for, as last heard of."""

    gate_id = models.CharField(max_length=31)
    step_id = models.CharField(max_length=31)
    kind = models.CharField(max_length=16, choices=[(kind.value, kind.value) for kind in states.GateKind])
    state = models.CharField(max_length=16, choices=[(state.value, state.value) for state in states.GateState])
    digest = models.CharField(max_length=64)
    expires_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["location", "gate_id"], name="runs_gate_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization", "state", "-gate_id"], name="runs_gate_recent"),
            models.Index(fields=["organization", "-gate_id"], name="runs_gate_newest"),
            models.Index(fields=["project", "-gate_id"], name="runs_gate_by_project"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} gate {self.gate_id}"


class RunEvent(models.Model):
    """One event of a machine's log, in the order in which the cloud took it in.

    `id` grows with every commit of its organization (one at a time there), so a follower that reads forward from a
    position misses nothing."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, db_index=False)
    project = models.ForeignKey("tenancy.Project", on_delete=models.PROTECT, db_constraint=False, db_index=False)
    location = models.ForeignKey("connectors.Location", on_delete=models.PROTECT, db_constraint=False, db_index=False)
    log_id = models.CharField(max_length=31)
    seq = models.BigIntegerField()
    event_type = models.CharField(max_length=40)
    at = models.DateTimeField()
    run_id = models.CharField(max_length=31, blank=True)
    step_id = models.CharField(max_length=31, blank=True)
    call_id = models.CharField(max_length=31, blank=True)
    record = models.JSONField(help_text="The event as the machine logged it.")
    taken_in_at = models.DateTimeField(db_default=Now(), help_text="By the cloud's clock; `at` is by the machine's.")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["location", "log_id", "seq"], name="runs_event_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization", "id"], name="runs_event_feed"),
            models.Index(fields=["project", "id"], name="runs_event_project"),
            models.Index(fields=["location", "run_id", "id"], name="runs_event_run", condition=~models.Q(run_id="")),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} #{self.id}"


class EventCursor(models.Model):
    """How far one log of one location was taken in: where its chain goes on."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, db_index=False)
    location = models.ForeignKey("connectors.Location", on_delete=models.PROTECT, db_constraint=False, db_index=False)
    log_id = models.CharField(max_length=31)
    seq = models.BigIntegerField()
    hash = models.CharField(max_length=64)
    epoch = models.BigIntegerField(help_text="The link that last moved it.")
    moved_at = models.DateTimeField()
    put_back_at = models.DateTimeField(
        null=True, blank=True, help_text="When the machine's log was seen to lack what was taken in of it."
    )

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["location", "log_id"], name="runs_cursor_once"),
        ]

    def __str__(self) -> str:
        return f"{self.log_id} up to #{self.seq}"
