"""Organization > Workspace > Project, and who is a member of them.

Every row below an organization carries its id and is fenced by row-level security; Membership alone is not, because
sign-in reads it before a tenant is chosen. Tests: tests/integration/cloud/tenancy/.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models

from cloud.permissions.roles import Role
from local_daemon.protocol import ids


class Status(models.TextChoices):
    """Whether something is in use."""

    ACTIVE = "active"  # in use
    DISABLED = "disabled"  # kept for the record, refused everywhere


class Organization(models.Model):
    """A tenant: owns everything below it."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Workspace(models.Model):
    """A part of an organization, with administrators of its own."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    slug = models.SlugField(max_length=63)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="tenancy_workspace_tenant"),
            models.UniqueConstraint(fields=["organization", "slug"], name="tenancy_workspace_slug"),
        ]

    def __str__(self) -> str:
        return self.name


class Project(models.Model):
    """What planners work in; its locations say on which machines."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, db_constraint=False)
    slug = models.SlugField(max_length=63)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="tenancy_project_tenant"),
            models.UniqueConstraint(fields=["workspace", "slug"], name="tenancy_project_slug"),
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's role in an organization, or in one workspace or project of it."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships")
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, null=True, blank=True, db_constraint=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True, blank=True, db_constraint=False)
    role = models.CharField(max_length=32, choices=[(role.value, role.value) for role in Role])
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "id"], name="tenancy_membership_tenant"),
            models.UniqueConstraint(
                fields=["organization", "user", "workspace", "project"],
                name="tenancy_membership_once",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} in {self.organization_id}"
