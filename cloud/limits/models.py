"""Limits, and what is counted against them.

`Limit` is what somebody set; the others are counts. Written by `services`, `leases`, `run_starts` and `usage`. Tests:
tests/integration/cloud/limits/.
"""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from local_daemon.protocol import ids


class Limit(models.Model):
    """What an organization, or one of its tokens, may use; a field that is empty falls back to the installation's."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.CASCADE, db_index=False)
    token = models.ForeignKey(
        "access.Token", on_delete=models.CASCADE, null=True, blank=True, db_constraint=False, help_text="Empty: all."
    )
    calls_per_minute = models.PositiveIntegerField(null=True, blank=True)
    calls_burst = models.PositiveIntegerField(null=True, blank=True)
    runs_at_once = models.PositiveIntegerField(null=True, blank=True)
    artifact_bytes_per_day = models.PositiveBigIntegerField(null=True, blank=True)
    cost_micros_per_month = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Millionths of a US dollar."
    )
    # Counts changes: who writes what they read a while ago is told so (`If-Match`).
    version = models.PositiveIntegerField(default=1)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "token"], name="limits_limit_once", nulls_distinct=False),
        ]

    def __str__(self) -> str:
        return f"limits of {self.token_id or self.organization_id}"


class RateBucket(models.Model):
    """The calls that a subject may still make: a token bucket, from which serving processes lease. Not crash-safe by
    choice (UNLOGGED): after a crash of the server a bucket is full."""

    id = models.UUIDField(primary_key=True, editable=False, help_text="The organization's or the token's id.")
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.CASCADE, db_constraint=False)
    level = models.FloatField()
    granted = models.FloatField(help_text="What the last lease was given.")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.id}: {self.level:.1f}"


class UsageKind(models.TextChoices):
    """What is counted."""

    ARTIFACT_BYTES = "artifact_bytes"  # content handed out to planners
    COST_MICROS = "cost_micros"  # what executors report, in millionths of a US dollar


class Usage(models.Model):
    """How much of something a token used in one day, UTC; without a token, what people and the installation used."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey(
        "tenancy.Organization", on_delete=models.CASCADE, db_constraint=False, db_index=False
    )
    # No reference: what was used outlives the token.
    token_id = models.UUIDField(null=True, blank=True)
    kind = models.CharField(max_length=16, choices=UsageKind)
    day = models.DateField()
    amount = models.BigIntegerField()
    # What counts against the token's limits; empty in a row of before: the amount.
    counted = models.BigIntegerField(
        null=True, blank=True, help_text="With what the tokens used that it minted and whose place it took."
    )

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "kind", "day", "token_id"], name="limits_usage_once", nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.kind}: {self.amount}"


class UsageCursor(models.Model):
    """Up to which event of its feed an organization's cost is counted."""

    organization = models.OneToOneField(
        "tenancy.Organization", primary_key=True, on_delete=models.CASCADE, db_constraint=False
    )
    event_id = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.organization_id} up to event {self.event_id}"


class RunStart(models.Model):
    """Who started which run: what is counted as running, and whom a run's cost is charged to."""

    call_id = models.CharField(primary_key=True, max_length=31, editable=False)
    organization = models.ForeignKey(
        "tenancy.Organization", on_delete=models.CASCADE, db_constraint=False, db_index=False
    )
    token_id = models.UUIDField(null=True, blank=True)
    # The token's line as it was then (`cloud.access.lines`); empty in a row of before: the token alone.
    line = ArrayField(models.UUIDField(), null=True, blank=True)
    run_id = models.CharField(max_length=31, blank=True, help_text="Empty until the machine has answered.")
    started_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="From when on a start without an answer counts no more.")
    is_over = models.BooleanField(default=False)

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization"], name="limits_start_open", condition=models.Q(is_over=False)),
            models.Index(fields=["organization", "run_id"], name="limits_start_run"),
        ]

    def __str__(self) -> str:
        return self.run_id or self.call_id
