"""Where each polled source stands, which of its items were taken lately, and what its first one told of machines.

One PollState a source and subject (an installation of a vendor, an organization's machines): its cursor moves in the
transaction in which its items take effect. Written by `rounds` and by sources. Tests: tests/integration/cloud/polling/.
"""

from typing import ClassVar

from django.db import models

from local_daemon.protocol import ids


class PollState(models.Model):
    """One source's place, health and next round."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, db_index=False)
    source = models.CharField(max_length=64)
    subject_id = models.CharField(max_length=64, blank=True, help_text="Which installation; empty: the only one.")
    cursor = models.JSONField(default=dict)
    next_poll_at = models.DateTimeField()
    polled_at = models.DateTimeField(null=True, blank=True)
    succeeded_at = models.DateTimeField(null=True, blank=True)
    failures_in_a_row = models.PositiveIntegerField(default=0)
    # The error's code or kind: no message, which may hold anything.
    fault = models.CharField(max_length=100, blank=True)
    items = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="polling_state_tenant"),
            models.UniqueConstraint(fields=["organization", "source", "subject_id"], name="polling_state_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["next_poll_at"], name="polling_state_due")]

    def __str__(self) -> str:
        return f"{self.source} {self.subject_id}".strip()


class PolledItem(models.Model):
    """That an item was taken: told again within the overlap, it has no second effect."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, db_index=False)
    state = models.ForeignKey(PollState, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    key = models.CharField(max_length=200)
    taken_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="polling_item_tenant"),
            models.UniqueConstraint(fields=["state", "key"], name="polling_item_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["state", "taken_at"], name="polling_item_age")]

    def __str__(self) -> str:
        return self.key


class Health(models.TextChoices):
    """How a machine answered when it was asked."""

    HEALTHY = "healthy"  # it did, and its executors are there
    DEGRADED = "degraded"  # it did, and none of its executors can be used
    UNREACHABLE = "unreachable"  # it is linked and did not
    OFFLINE = "offline"  # it is not linked


class ConnectorHealth(models.Model):
    """What a machine's daemon said last, and since when it says that."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, db_index=False)
    connector = models.OneToOneField(
        "connectors.Connector", on_delete=models.PROTECT, related_name="health", db_constraint=False
    )
    health = models.CharField(max_length=16, choices=Health)
    since = models.DateTimeField()
    version = models.CharField(max_length=200, blank=True)
    executors = models.JSONField(default=list, help_text="Names of those that can be used.")
    code = models.CharField(max_length=40, blank=True, help_text="Of the error it answered with.")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="polling_health_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.connector_id} {self.health}"
