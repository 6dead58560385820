"""What happened, its tamper-evident chain, and the counts made from it.

An AuditEvent is inserted in the transaction of what it tells; an AuditSeal chains it afterwards; an AuditCheckpoint
signs the chain's head; an AuditPruning stands for what was old enough to go. All four are append-only: the application
may insert and read, a trigger refuses the rest, except to delete what a pruning covers.
Tests: tests/integration/cloud/audit/.
"""

from typing import ClassVar

from django.db import models

from local_daemon.protocol import ids


class ActorKind(models.TextChoices):
    """Who did it."""

    TOKEN = "token"  # noqa: S105 - a word; a planner's or service's credential
    USER = "user"  # a signed-in person
    CONNECTOR = "connector"  # a machine
    SYSTEM = "system"  # the installation itself


class Outcome(models.TextChoices):
    """How it went."""

    OK = "ok"  # as asked
    ERROR = "error"  # refused or failed
    UNKNOWN = "unknown"  # cannot be told (yet)


class AuditEvent(models.Model):
    """One thing that happened, told once."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    # No constraint in the database: evidence outlives what it tells of, and checking it would lock the organization's
    # row on the hot path. Row-level security already ties the row to the organization in scope.
    # And no index: others begin with it.
    organization = models.ForeignKey(
        "tenancy.Organization", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    at = models.DateTimeField()
    # The inserting transaction: lets the sealer see how far nothing can still be under way.
    transaction_id = models.BigIntegerField(
        editable=False,
        db_default=models.Func(template="(pg_current_xact_id()::text::bigint)", output_field=models.BigIntegerField()),
    )
    event_type = models.CharField(max_length=64)
    actor_kind = models.CharField(max_length=16, choices=ActorKind)
    actor_id = models.CharField(max_length=64, blank=True)
    actor_label = models.CharField(max_length=200, blank=True)
    target_kind = models.CharField(max_length=32)
    target_id = models.CharField(max_length=64)
    project_id = models.UUIDField(null=True, blank=True)
    call_id = models.CharField(max_length=31, blank=True)
    outcome = models.CharField(max_length=16, choices=Outcome, default=Outcome.OK)
    duration_ms = models.FloatField(null=True, blank=True)
    client_address = models.GenericIPAddressField(null=True, blank=True)
    details = models.JSONField(default=dict)

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization", "transaction_id", "id"], name="audit_event_seal_order"),
            models.Index(fields=["call_id"], name="audit_event_call", condition=~models.Q(call_id="")),
            # What people filter by, newest first: see selectors.py.
            models.Index(fields=["organization", "-id"], name="audit_event_page"),
            models.Index(fields=["organization", "event_type", "-id"], name="audit_event_type"),
            models.Index(fields=["organization", "actor_id", "-id"], name="audit_event_actor"),
            models.Index(fields=["organization", "target_id", "-id"], name="audit_event_target"),
            models.Index(fields=["organization", "project_id", "-id"], name="audit_event_project"),
            models.Index(
                fields=["organization", "-id"], name="audit_event_not_ok", condition=~models.Q(outcome=Outcome.OK.value)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.target_kind} {self.target_id}"


class AuditSeal(models.Model):
    """One link of an organization's chain: which event comes at `seq`, and the hash of all up to it."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey(
        "tenancy.Organization", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    seq = models.PositiveBigIntegerField()
    event_id = models.UUIDField(unique=True)
    event_hash = models.BinaryField(max_length=32)
    prev_hash = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32)
    # Every event inserted by a transaction below this one is sealed: where the next batch starts to look.
    horizon = models.BigIntegerField()
    sealed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "seq"], name="audit_seal_seq"),
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} #{self.seq}"


class AuditCheckpoint(models.Model):
    """The chain's head at a moment, signed with the installation's Ed25519 key."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey(
        "tenancy.Organization", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    seq = models.PositiveBigIntegerField()
    hash = models.BinaryField(max_length=32)
    public_key = models.BinaryField(max_length=32)
    signature = models.BinaryField(max_length=64)
    signed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "seq"], name="audit_checkpoint_seq"),
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} checkpoint #{self.seq}"


class AuditPruning(models.Model):
    """That the links `first_seq` to `seq` are no more, where they led, and that we say so."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey(
        "tenancy.Organization", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    first_seq = models.PositiveBigIntegerField()
    seq = models.PositiveBigIntegerField()
    prev_hash = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32)
    # When the youngest of the removed events happened.
    newest_at = models.DateTimeField()
    public_key = models.BinaryField(max_length=32)
    signature = models.BinaryField(max_length=64)
    signed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "seq"], name="audit_pruning_seq"),
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} #{self.first_seq} to #{self.seq} pruned"


class RollupPeriod(models.TextChoices):
    """How long a bucket is."""

    HOUR = "hour"  # one hour, UTC
    DAY = "day"  # one day, UTC


class AuditRollup(models.Model):
    """How often something happened in an hour or a day; counted from sealed events, never authoritative."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.CASCADE, db_index=False)
    period = models.CharField(max_length=8, choices=RollupPeriod)
    bucket_start = models.DateTimeField()
    event_type = models.CharField(max_length=64)
    outcome = models.CharField(max_length=16, choices=Outcome)
    count = models.PositiveBigIntegerField()
    aggregated_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "period", "bucket_start", "event_type", "outcome"], name="audit_rollup_bucket"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.period} {self.bucket_start:%Y-%m-%d %H:%M} {self.event_type} {self.outcome}: {self.count}"


class AuditRollupCursor(models.Model):
    """Up to which chain link an organization's events are counted, and when that was last done."""

    organization = models.OneToOneField("tenancy.Organization", primary_key=True, on_delete=models.CASCADE)
    seq = models.PositiveBigIntegerField(default=0)
    aggregated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.organization_id} up to #{self.seq}"
