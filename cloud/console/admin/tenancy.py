"""Organizations, workspaces, projects and who is a member of them."""

from typing import Any

from django.contrib import admin
from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.db.models import ExpressionWrapper, F, OuterRef, Q, QuerySet, UUIDField
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action

from cloud.access.principals import Grant, Principal
from cloud.console import allotting, asking, building, staffing, viewer
from cloud.console.tenant_admin import TenantAdmin
from cloud.tenancy import selectors
from cloud.tenancy.models import Invitation, Membership, Organization, Project, Workspace
from local_daemon.protocol.scopes import Scope


class UnitAdmin(TenantAdmin):
    """What the pages of organizations, workspaces and projects have in common."""

    writes: Scope
    ordering = ("-id",)
    search_fields = ("name", "slug")
    actions_detail: tuple[str, ...] = ("rename", "suspend", "resume", "delete_later")

    def has_write_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whether to offer changing it."""
        return self.may(request, self.writes)

    def has_make_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whether to offer making another one."""
        return asking.organizations_may(request, self.writes)

    @action(description="Rename", url_path="rename", permissions=["write"], icon="edit")
    def rename(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it gets another name."""
        return building.rename_page(self, request, self.get_object(request, object_id))

    @action(description="Suspend", url_path="suspend", permissions=["write"], icon="pause")
    def suspend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it is taken out of use."""
        return building.advance_page(self, request, self.get_object(request, object_id), "suspend")

    @action(description="Resume", url_path="resume", permissions=["write"], icon="play_arrow")
    def resume(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it is taken into use again."""
        return building.advance_page(self, request, self.get_object(request, object_id), "resume")

    @action(description="Delete", url_path="delete-later", permissions=["write"], icon="delete")
    def delete_later(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it is refused from now on, and purged when its grace is over."""
        return building.advance_page(self, request, self.get_object(request, object_id), "delete")


@admin.register(Organization)
class OrganizationAdmin(UnitAdmin):
    """The tenant one looks at; all of them for an operator."""

    reads = Scope.PROJECTS_READ
    writes = Scope.ORGANIZATION_WRITE
    organization_lookup = "id"
    list_display = ("name", "slug", "status", "time_zone", "created_at", "deletion_due_at")
    list_filter = ("status",)
    actions_detail = ("limits", *UnitAdmin.actions_detail)

    def bounded(self, rows: QuerySet[Any], principal: Principal) -> QuerySet[Any]:
        """Its name is no secret to its people."""
        return rows

    def has_use_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whether to show what it may use, and used: to who sees all of it."""
        principal = viewer.principal_of(request)
        return request.user.is_superuser or (
            principal is not None and principal.project_ids is None and Scope.USAGE_READ in principal.scopes
        )

    @action(description="Limits", url_path="limits", permissions=["use"], icon="speed")
    def limits(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which one sees what is left of its limits, and sets them."""
        return allotting.organization_page(self, request, self.get_object(request, object_id))


@admin.register(Workspace)
class WorkspaceAdmin(UnitAdmin):
    """Parts of an organization."""

    reads = Scope.WORKSPACES_READ
    writes = Scope.WORKSPACES_WRITE
    list_display = ("name", "slug", "organization", "status", "created_at", "deletion_due_at")
    list_select_related = ("organization",)
    list_filter = ("status",)
    actions_list = ("make",)

    def within(self, grant: Grant) -> QuerySet[Any]:
        """Those that are reached as a whole."""
        return selectors.workspaces_within_reach(grant)

    @action(description="New workspace", url_path="make", permissions=["make"], icon="add")
    def make(self, request: HttpRequest) -> HttpResponse:
        """The page on which one is made."""
        return building.workspace_page(self, request)


@admin.register(Project)
class ProjectAdmin(UnitAdmin):
    """What planners work in."""

    reads = Scope.PROJECTS_READ
    writes = Scope.PROJECTS_WRITE
    list_display = ("name", "slug", "workspace", "organization", "status", "id")
    list_select_related = ("workspace", "organization")
    list_filter = ("status",)
    actions_list = ("make",)

    def within(self, grant: Grant) -> QuerySet[Any]:
        """Those within the reach."""
        return selectors.projects_within_reach(grant)

    @action(description="New project", url_path="make", permissions=["make"], icon="add")
    def make(self, request: HttpRequest) -> HttpResponse:
        """The page on which one is made."""
        return building.project_page(self, request)


class StaffAdmin(TenantAdmin):
    """What the pages of members and invitations have in common."""

    reads = Scope.MEMBERS_READ
    ordering = ("-id",)

    def has_staff_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whether to offer changing who is a member."""
        return self.may(request, Scope.MEMBERS_WRITE)

    def has_invite_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        """Whether to offer inviting: in one organization's name."""
        return asking.organizations_may(request, Scope.MEMBERS_WRITE)

    @admin.display(description="reach")
    def reach(self, row: Any) -> str:
        """How far the role goes."""
        return _reach(row)

    @action(description="Invite", url_path="invite", permissions=["invite"], icon="person_add")
    def invite(self, request: HttpRequest) -> HttpResponse:
        """The page on which somebody is invited by a link."""
        return staffing.invite_page(self, request)


@admin.register(Membership)
class MembershipAdmin(StaffAdmin):
    """Who is what, where."""

    list_display = ("user", "role", "reach", "organization", "status")
    list_filter = ("role", "status")
    search_fields = ("user__email", "user__full_name")
    actions_list = ("invite",)
    actions_detail = ("change_post", "password_link", "remove")

    def within(self, grant: Grant) -> QuerySet[Any]:
        """Members of no more than what the viewer reaches."""
        return selectors.members_within_reach(grant)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what the pages tell of each."""
        rows = super().get_queryset(request).select_related("user", "organization", "workspace")
        return rows.annotate(project_names=_project_names())

    @action(description="Change", url_path="post", permissions=["staff"], icon="badge")
    def change_post(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which they get another role or reach."""
        return staffing.change_page(self, request, self.get_object(request, object_id))

    @action(description="New password", url_path="password-link", permissions=["staff"], icon="lock_reset")
    def password_link(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which they get a link to a new password."""
        return staffing.password_page(self, request, self.get_object(request, object_id))

    @action(description="Remove", url_path="remove", permissions=["staff"], icon="person_remove")
    def remove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which their membership ends."""
        return staffing.remove_page(self, request, self.get_object(request, object_id))


@admin.register(Invitation)
class InvitationAdmin(StaffAdmin):
    """Who was invited to be what, without the link."""

    list_display = (
        "email", "role", "reach", "organization", "invited_by", "expires_at", "accepted_at", "revoked_at",
    )  # fmt: skip
    list_filter = ("role",)
    search_fields = ("email", "invited_by")
    exclude = ("digest",)
    actions_list = ("invite",)
    actions_detail = ("resend", "withdraw")

    def within(self, grant: Grant) -> QuerySet[Any]:
        """Invitations to no more than what the viewer reaches."""
        return selectors.invitations_within_reach(grant)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what the pages tell of each."""
        rows = super().get_queryset(request).select_related("organization", "workspace", "inviter__user")
        return rows.annotate(project_names=_project_names())

    @action(description="New link", url_path="resend", permissions=["staff"], icon="forward_to_inbox")
    def resend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which the link is made anew."""
        return staffing.resend_page(self, request, self.get_object(request, object_id))

    @action(description="Withdraw", url_path="withdraw", permissions=["staff"], icon="block")
    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which it ends."""
        return staffing.withdraw_page(self, request, self.get_object(request, object_id))


def _project_names() -> ArraySubquery:
    """What the projects are called that a person is bound to."""
    bound = ExpressionWrapper(OuterRef("project_ids"), output_field=ArrayField(UUIDField()))
    rows = Project.objects.alias(bound=bound).filter(Q(bound__contains=[F("pk")]))
    return ArraySubquery(rows.order_by("name").values("name"))


def _reach(row: Any) -> str:
    if row.workspace is not None:
        return f"workspace {row.workspace}"
    return ", ".join(row.project_names) if row.project_ids is not None else "everything"
