"""Credentials: bearer tokens, known by a digest only.

Who a token speaks for, and what it may do, is decided when it is used (`authentication.py`): a token never outgrows its
maker's membership. Tests: tests/integration/cloud/access/.
"""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from local_daemon.protocol import ids


class Token(models.Model):
    """A secret that a planner presents; its text was shown once and is not kept."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT)
    # Whose token it is; none for a service's, made by the installation itself.
    membership = models.ForeignKey(
        "tenancy.Membership", on_delete=models.PROTECT, null=True, blank=True, db_constraint=False
    )
    name = models.CharField(max_length=200)
    prefix = models.CharField(max_length=16, help_text="How the secret begins, to tell tokens apart.")
    digest = models.BinaryField(max_length=32, unique=True)
    scopes = ArrayField(models.CharField(max_length=32))
    project_ids = ArrayField(models.UUIDField(), null=True, blank=True, help_text="Empty: every project.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="access_token_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
