"""Organization > Workspace > Project, who is a member of them, and who was invited to be.

Every row carries its organization's id and is fenced by row-level security; what must be read before a tenant is known
(a person's memberships, an invitation's link) is read through selectors that say so. Tests:
tests/integration/cloud/tenancy/.
"""

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from cloud.permissions.roles import Role
from cloud.tenancy.lifecycle import TenantStatus
from local_daemon.protocol import ids

_ROLES = [(role.value, role.value) for role in Role]


class Status(models.TextChoices):
    """Whether a member or a machine is let in."""

    ACTIVE = "active"  # let in
    DISABLED = "disabled"  # kept for the record, refused everywhere


class Unit(models.Model):
    """What an organization, a workspace and a project have in common; changed by `units` only."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    name = models.CharField(max_length=200)
    status = models.CharField(
        max_length=16, choices=[(word.value, word.value) for word in TenantStatus], default=TenantStatus.ACTIVE.value
    )
    # Counts changes: who writes what they read a while ago is told so (`If-Match`).
    version = models.PositiveIntegerField(default=1, db_default=1)
    deletion_due_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class Organization(Unit):
    """A tenant: owns everything below it."""

    slug = models.SlugField(max_length=63, unique=True)
    time_zone = models.CharField(
        max_length=64, default="UTC", db_default="UTC", help_text="By whose clocks it lives: an IANA name."
    )


class Workspace(Unit):
    """A part of an organization, with administrators of its own."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False)
    slug = models.SlugField(max_length=63)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="tenancy_workspace_tenant"),
            models.UniqueConstraint(fields=["organization", "slug"], name="tenancy_workspace_slug"),
        ]


class Project(Unit):
    """What planners work in; its locations say on which machines."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    # Said here too, so that the path of every call joins one table less; written with the workspace's status.
    is_workspace_active = models.BooleanField(default=True, db_default=True)
    slug = models.SlugField(max_length=63)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="tenancy_project_tenant"),
            models.UniqueConstraint(fields=["workspace", "slug"], name="tenancy_project_slug"),
        ]


class Reach(models.Model):
    """A role, and where it holds: in the whole organization, in one workspace, or in some projects."""

    role = models.CharField(max_length=32, choices=_ROLES)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, null=True, blank=True, db_constraint=False)
    # An id of another tenant's project here would reach nothing: every look-up happens inside the organization.
    project_ids = ArrayField(models.UUIDField(), null=True, blank=True, help_text="Empty: every project.")

    class Meta:
        abstract = True


class Membership(Reach):
    """What a person is in an organization: one role, in all of it or in a part."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships")
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    version = models.PositiveIntegerField(default=1, db_default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    # Tokens made before are dead: who comes back does not bring old credentials along.
    active_since = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="tenancy_membership_tenant"),
            models.UniqueConstraint(fields=["organization", "user"], name="tenancy_membership_once"),
            models.CheckConstraint(
                condition=models.Q(workspace=None) | models.Q(project_ids=None), name="tenancy_membership_reach"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user.email}, {self.role}"


class Invitation(Reach):
    """That somebody may become a member, by a link that works once; its secret was shown once and is not kept."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False)
    email = models.EmailField()
    digest = models.BinaryField(max_length=32, unique=True)
    invited_by = models.CharField(max_length=200)
    # While it is open it can do no more than this member can; none: the installation invited.
    inviter = models.ForeignKey(Membership, on_delete=models.PROTECT, null=True, blank=True, db_constraint=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="tenancy_invitation_tenant"),
            # One open link a person: inviting again is resending.
            models.UniqueConstraint(
                fields=["organization", "email"],
                name="tenancy_invitation_open",
                condition=models.Q(accepted_at=None, revoked_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} for {self.email}"
