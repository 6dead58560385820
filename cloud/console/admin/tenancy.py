"""Organizations, workspaces, projects and who is a member of them."""

from django.contrib import admin

from cloud.console.tenant_admin import TenantAdmin
from cloud.tenancy.models import Invitation, Membership, Organization, Project, Workspace
from local_daemon.protocol.scopes import Scope


@admin.register(Organization)
class OrganizationAdmin(TenantAdmin):
    """The tenant one looks at; all of them for an operator."""

    reads = Scope.PROJECTS_READ
    list_display = ("name", "slug", "status", "created_at")
    search_fields = ("name", "slug")


@admin.register(Workspace)
class WorkspaceAdmin(TenantAdmin):
    """Parts of an organization."""

    reads = Scope.WORKSPACES_READ
    list_display = ("name", "slug", "organization", "status", "created_at")
    list_select_related = ("organization",)
    search_fields = ("name", "slug")


@admin.register(Project)
class ProjectAdmin(TenantAdmin):
    """What planners work in."""

    reads = Scope.PROJECTS_READ
    project_lookup = "id"
    list_display = ("name", "slug", "workspace", "organization", "status", "id")
    list_select_related = ("workspace", "organization")
    list_filter = ("status",)
    search_fields = ("name", "slug")


@admin.register(Membership)
class MembershipAdmin(TenantAdmin):
    """Who is what, where."""

    reads = Scope.MEMBERS_READ
    list_display = ("user", "role", "organization", "workspace", "project_ids", "status")
    list_select_related = ("user", "organization", "workspace")
    list_filter = ("role", "status")
    search_fields = ("user__email",)


@admin.register(Invitation)
class InvitationAdmin(TenantAdmin):
    """Who was invited to be what, without the link."""

    reads = Scope.MEMBERS_READ
    list_display = (
        "email",
        "role",
        "organization",
        "workspace",
        "invited_by",
        "expires_at",
        "accepted_at",
        "revoked_at",
    )
    list_select_related = ("organization", "workspace")
    search_fields = ("email",)
    exclude = ("digest",)
