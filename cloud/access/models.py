"""Credentials: bearer tokens, known by a digest only; and how often signing in with a password failed.

Who a token speaks for, and what it may do, is decided when it is used (`authentication.py`): a token never outgrows its
maker's membership. Tests: tests/integration/cloud/access/.
"""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from local_daemon.protocol import ids


class TokenKind(models.TextChoices):
    """What a token is for."""

    PLANNER = "planner"  # an AI client's: works, and administers nothing
    SERVICE = "service"  # a program's; another administrator can adopt it when its holder leaves
    PERSONAL = "personal"  # a person's own, for a shell or a script


class Token(models.Model):
    """A secret that a planner, a program or a person presents; its text was shown once and is not kept."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, db_index=False)
    kind = models.CharField(max_length=16, choices=TokenKind, default=TokenKind.PERSONAL, db_default=TokenKind.PERSONAL)
    # Whose it is, and beyond whose rights it never goes; none for the installation's own.
    membership = models.ForeignKey(
        "tenancy.Membership", on_delete=models.PROTECT, null=True, blank=True, db_constraint=False
    )
    # The token that minted it, with which it ends; none for one that a person minted.
    maker = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, db_constraint=False)
    # The first of those that it took the place of, under which its use is counted; none for a first one.
    counted_as = models.UUIDField(null=True, blank=True, editable=False)
    name = models.CharField(max_length=200)
    prefix = models.CharField(max_length=16, help_text="How the secret begins, to tell tokens apart.")
    digest = models.BinaryField(max_length=32, unique=True)
    scopes = ArrayField(models.CharField(max_length=32))
    project_ids = ArrayField(models.UUIDField(), null=True, blank=True, help_text="Empty: every project.")
    created_at = models.DateTimeField(auto_now_add=True)
    # Since when it is its holder's: one from before they left and came back is dead.
    held_since = models.DateTimeField(default=timezone.now, db_default=Now())
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="access_token_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class SignInFailures(models.Model):
    """How often signing in failed for one account, from one address, or for that account from that address, in the
    quarter of an hour that began then.

    Of no tenant: who tries may be nobody. Known by a keyed digest, so that the table names neither people nor places;
    an account counts alike whether there is one."""

    key = models.BinaryField(primary_key=True, max_length=32, editable=False)
    failures = models.PositiveSmallIntegerField()
    ends_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.failures} until {self.ends_at:%H:%M}"


class SignInPlace(models.Model):
    """That an account signed in from an address not long ago, known by a keyed digest of both."""

    key = models.BinaryField(primary_key=True, max_length=32, editable=False)
    known_until = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"known until {self.known_until:%Y-%m-%d}"
