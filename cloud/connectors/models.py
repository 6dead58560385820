"""Machines: how they come to an organization, which are connected, when they were, and what they share.

A Connector is a claimed machine identity (an Ed25519 key); an Instance is one daemon behind it; a Location is a
project in a repository there. The cloud knows labels and opaque ids, deliberately no path. Tests:
tests/integration/cloud/connectors/.
"""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from cloud.tenancy.models import Status
from local_daemon.protocol import ids


class EnrollmentCode(models.Model):
    """A one-time code that brings one machine into an organization, a workspace or a project; its text was shown once
    and is not kept."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, db_index=False)
    workspace = models.ForeignKey(
        "tenancy.Workspace", on_delete=models.PROTECT, null=True, blank=True, db_constraint=False
    )
    project = models.ForeignKey("tenancy.Project", on_delete=models.PROTECT, null=True, blank=True, db_constraint=False)
    label = models.CharField(max_length=200, blank=True)
    digest = models.BinaryField(max_length=32, unique=True)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    connector = models.ForeignKey(
        "connectors.Connector", on_delete=models.PROTECT, null=True, blank=True, db_constraint=False
    )

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="connectors_code_tenant"),
        ]

    def __str__(self) -> str:
        return self.label or str(self.id)


class PendingConnector(models.Model):
    """A machine that asks to be claimed and belongs to nobody yet.

    Reachable by the operator role only: whoever holds its claim code, shown on the machine, may claim it."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    public_key = models.BinaryField(max_length=32, unique=True)
    claim_digest = models.BinaryField(max_length=32, unique=True)
    label = models.CharField(max_length=200)
    machine = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    # Set when claimed, so that the machine, which polls with a proof, learns its new name.
    connector_id = models.UUIDField(null=True, blank=True)

    def __str__(self) -> str:
        return self.label


class Connector(models.Model):
    """A machine of an organization, and where its live link is."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, db_index=False)
    label = models.CharField(max_length=200)
    public_key = models.BinaryField(max_length=32)
    machine = models.JSONField(default=dict, help_text="What the machine said of itself: system, version.")
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    created_at = models.DateTimeField(auto_now_add=True)
    version = models.PositiveIntegerField(default=1, db_default=1)
    # It left the organization, and is disabled for good; its key is free to be claimed as another connector.
    released_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    # Each opened link takes the next epoch; whatever speaks with an older one has lost.
    link_epoch = models.BigIntegerField(default=0)
    # The process that holds the live link, empty when there is none.
    link_owner = models.CharField(max_length=100, blank=True)
    link_channel = models.CharField(max_length=100, blank=True)
    link_opened_at = models.DateTimeField(null=True, blank=True)
    link_address = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="connectors_connector_tenant"),
            # One organization a machine, over all tenants.
            models.UniqueConstraint(
                fields=["public_key"], name="connectors_connector_key", condition=models.Q(released_at=None)
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["link_owner"], name="connectors_link_owner", condition=~models.Q(link_owner="")),
        ]

    def __str__(self) -> str:
        return self.label


class Claim(models.Model):
    """What a connector serves, by whose decision: a project, a workspace's projects, or any of the organization."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT)
    connector = models.ForeignKey(
        Connector, on_delete=models.PROTECT, related_name="claims", db_constraint=False, db_index=False
    )
    workspace = models.ForeignKey(
        "tenancy.Workspace", on_delete=models.SET_NULL, null=True, blank=True, db_constraint=False
    )
    # Where what it shares goes, unless somebody says otherwise; none: nowhere before somebody does.
    project = models.ForeignKey(
        "tenancy.Project", on_delete=models.SET_NULL, null=True, blank=True, db_constraint=False
    )
    claimed_by = models.CharField(max_length=200)
    claimed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            # One claim a connector; locations may be mapped to other projects one by one.
            models.UniqueConstraint(fields=["connector"], name="connectors_claim_once"),
        ]

    def __str__(self) -> str:
        return f"{self.connector_id} for {self.project_id or self.workspace_id or self.organization_id}"


class Instance(models.Model):
    """One daemon behind a connector."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, db_index=False)
    connector = models.ForeignKey(
        Connector, on_delete=models.PROTECT, related_name="instances", db_constraint=False, db_index=False
    )
    instance_id = models.CharField(max_length=31, help_text="The daemon's own name for itself.")
    # Where its new repositories go; none: where its connector was claimed for.
    project = models.ForeignKey(
        "tenancy.Project", on_delete=models.SET_NULL, null=True, blank=True, db_constraint=False
    )
    # How often it was mapped: who maps it may say which mapping they saw.
    mapping_version = models.PositiveIntegerField(default=1, db_default=1)
    label = models.CharField(max_length=200, blank=True)
    version = models.CharField(max_length=200, blank=True)
    executors = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    last_advertised_at = models.DateTimeField()
    # Since when its connector speaks of it no more; kept, because its runs are on record.
    missing_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="connectors_instance_tenant"),
            models.UniqueConstraint(fields=["connector", "instance_id"], name="connectors_instance_once"),
        ]

    def __str__(self) -> str:
        return self.label or self.instance_id


class Location(models.Model):
    """A repository of an instance, and the project it serves; usable while its operator shares it."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, db_index=False)
    project = models.ForeignKey(
        "tenancy.Project", on_delete=models.SET_NULL, null=True, blank=True, db_constraint=False, db_index=False
    )
    mapping_version = models.PositiveIntegerField(default=1, db_default=1)
    instance = models.ForeignKey(
        Instance, on_delete=models.PROTECT, related_name="locations", db_constraint=False, db_index=False
    )
    repository_id = models.CharField(max_length=31)
    repository_label = models.CharField(max_length=200, blank=True)
    is_shared = models.BooleanField(default=True)
    last_advertised_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="connectors_location_tenant"),
            models.UniqueConstraint(fields=["instance", "repository_id"], name="connectors_location_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["project"], name="connectors_location_project"),
        ]

    def __str__(self) -> str:
        return self.repository_label or self.repository_id


class Presence(models.Model):
    """That a machine came online, or went; one row a change.

    Written by the database itself (a trigger on the connector's link), so that no path that opens or ends a link can
    forget it."""

    # Counted by the database, which makes these rows.
    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, db_index=False)
    connector = models.ForeignKey(Connector, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    at = models.DateTimeField()
    is_online = models.BooleanField()
    epoch = models.BigIntegerField(help_text="Which link.")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="connectors_presence_tenant"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["connector", "-id"], name="connectors_presence_recent"),
        ]

    def __str__(self) -> str:
        return f"{'online' if self.is_online else 'offline'} at {self.at}"


class ClaimGuesses(models.Model):
    """How many wrong claim codes somebody presented in the quarter of an hour that ends then. Written by `guesses`."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, db_index=False)
    guesser = models.CharField(max_length=80)
    wrong = models.PositiveIntegerField()
    ends_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "guesser"], name="connectors_guesses_once"),
        ]

    def __str__(self) -> str:
        return f"{self.wrong} by {self.guesser}"
