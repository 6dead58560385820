"""Members on pages: invited by a link that is told once, given another role or reach, removed.

Deliberately offers only roles that the viewer may give. Called by `admin/tenancy.py`; what somebody sees who follows
the link is `joining.py`. Tests: tests/integration/cloud/console/test_acts.py.
"""

from datetime import timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
)

from cloud.access import authorization
from cloud.console import asking, projects, viewer
from cloud.console.asking import Done, Question, Told
from cloud.console.tenant_admin import TenantAdmin
from cloud.permissions import matrix
from cloud.permissions.roles import Role
from cloud.tenancy import invitations, memberships, password_links
from cloud.tenancy.models import Invitation, Membership, Reach, Workspace
from cloud.tenancy.posts import Post
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

_ONCE = "Send this link to whom you invite. It works once, for that address, and is shown this once."


class PostForm(asking.ChangeForm):
    """A role, and where it holds."""

    role = forms.ChoiceField(widget=UnfoldAdminSelectWidget)

    def __init__(self, request: HttpRequest, *args: Any, row: Reach | None = None, **facts: Any) -> None:
        super().__init__(*args, **facts)
        principal = viewer.principal_of(request, organization_id=getattr(row, "organization_id", None))
        mine = principal.scopes if principal else frozenset()
        role = self.fields["role"]
        assert isinstance(role, forms.ChoiceField)
        role.choices = [(word.value, word.value) for word in Role if matrix.may_give(mine, word)]
        self.fields["workspace"] = forms.ModelChoiceField(
            queryset=_workspaces(request),
            required=False,
            widget=UnfoldAdminSelectWidget,
            empty_label="the whole organization",
            help_text="A workspace_admin needs one.",
        )
        self.fields["projects"] = projects.projects_field(
            request, help_text="For an operator or viewer of some projects only; then choose no workspace."
        )

    def post(self) -> Post:
        """What was chosen."""
        given = self.cleaned_data
        chosen = [project.id for project in given["projects"]]
        workspace: Workspace | None = given["workspace"]
        return Post(
            role=Role(given["role"]), workspace_id=workspace.id if workspace else None, project_ids=chosen or None
        )


class InviteForm(PostForm):
    """Whom to invite."""

    email = forms.EmailField(widget=UnfoldAdminEmailInputWidget)
    days = forms.IntegerField(
        min_value=1,
        max_value=invitations.TTL_MAX.days,
        initial=invitations.TTL.days,
        label="Days the link is good",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    field_order = ("email", "role", "workspace", "projects", "days")

    def __init__(self, request: HttpRequest, *args: Any, **facts: Any) -> None:
        super().__init__(request, *args, **facts)
        self.order_fields(self.field_order)


def _workspaces(request: HttpRequest) -> QuerySet[Workspace]:
    rows = Workspace.objects.order_by("name")
    principal = viewer.principal_of(request)
    if principal is not None:
        rows = rows.filter(organization_id=principal.organization_id)
        if principal.project_ids is not None:
            rows = rows.filter(id=principal.workspace_id) if principal.workspace_id else rows.none()
    return rows


def invite_page(page: TenantAdmin, request: HttpRequest) -> HttpResponse:
    """Invite somebody by a link."""
    principal = viewer.principal_of(request)
    if principal is None:
        raise errors.Forbidden
    question = Question(
        title="Invite somebody",
        explains="They become a member when they follow the link and sign in with this address.",
        button="Make the link",
    )
    form = InviteForm(request, asking.given(request))

    def invite(given: dict[str, Any]) -> Told:
        row, secret = invitations.invitation_create(
            grant=authorization.authorize(principal, Scope.MEMBERS_WRITE),
            email=given["email"],
            post=form.post(),
            ttl=timedelta(days=given["days"]),
        )
        return _told(request, row, secret)

    return asking.ask(page, request, question, form, invite)


def resend_page(page: TenantAdmin, request: HttpRequest, row: Invitation) -> HttpResponse:
    """Another link for an open invitation."""
    question = Question(
        title=f"A new link for {row.email}",
        explains="The old link stops working; the invitation is then yours.",
        button="Make the link",
        facts=_facts(row),
    )

    def resend(_given: dict[str, Any]) -> Told:
        grant = page.grant(request, Scope.MEMBERS_WRITE, row)
        return _told(request, *invitations.invitation_resend(grant=grant, invitation_id=row.id))

    return asking.ask(page, request, question, asking.ChangeForm(asking.given(request)), resend)


def withdraw_page(page: TenantAdmin, request: HttpRequest, row: Invitation) -> HttpResponse:
    """End an open invitation."""
    question = Question(
        title=f"Withdraw the invitation of {row.email}",
        explains="Its link stops working.",
        button="Withdraw it",
        facts=_facts(row),
        is_grave=True,
    )

    def withdraw(_given: dict[str, Any]) -> Done:
        grant = page.grant(request, Scope.MEMBERS_WRITE, row)
        invitations.invitation_revoke(grant=grant, invitation_id=row.id)
        return Done(message="The invitation is withdrawn.", next_url=asking.row_url(page, row))

    return asking.ask(page, request, question, asking.ChangeForm(asking.given(request)), withdraw)


def change_page(page: TenantAdmin, request: HttpRequest, row: Membership) -> HttpResponse:
    """Another role or reach."""
    question = Question(
        title=f"Change what {row.user} is",
        explains="It counts at once, for their tokens too. An organization always keeps an owner.",
        button="Change it",
        facts=_facts(row),
    )
    shown = {
        "role": row.role,
        "workspace": row.workspace_id,
        "projects": row.project_ids or [],
        "version": row.version,
    }
    form = PostForm(request, asking.given(request), row=row, initial=shown)

    def change(given: dict[str, Any]) -> Done:
        memberships.membership_change(
            grant=page.grant(request, Scope.MEMBERS_WRITE, row),
            membership_id=row.id,
            post=form.post(),
            expected_version=given["version"] or 0,
        )
        return Done(message=f"{row.user} is {given['role']} now.", next_url=asking.row_url(page, row))

    return asking.ask(page, request, question, form, change)


def remove_page(page: TenantAdmin, request: HttpRequest, row: Membership) -> HttpResponse:
    """End a membership."""
    question = Question(
        title=f"Remove {row.user}",
        explains="They are no member from now on, and every token they hold is refused. What they did stays on record.",
        button="Remove them",
        facts=_facts(row),
        is_grave=True,
    )

    def remove(given: dict[str, Any]) -> Done:
        memberships.membership_remove(
            grant=page.grant(request, Scope.MEMBERS_WRITE, row),
            membership_id=row.id,
            expected_version=given["version"] or 0,
        )
        return Done(message=f"{row.user} is no member any more.", next_url=asking.list_url(page))

    form = asking.ChangeForm(asking.given(request), initial={"version": row.version})
    return asking.ask(page, request, question, form, remove)


def password_page(page: TenantAdmin, request: HttpRequest, row: Membership) -> HttpResponse:
    """A link to a new password, for who forgot theirs."""
    question = Question(
        title=f"A new password for {row.user}",
        explains="For who forgot theirs. They choose it themselves by a link that works once; until then the old one "
        "holds. Make sure that it is they who ask: whoever has the link becomes them.",
        button="Make the link",
        facts=_facts(row),
        is_grave=True,
    )

    def make(_given: dict[str, Any]) -> Told:
        grant = page.grant(request, Scope.MEMBERS_WRITE, row)
        _, secret = password_links.password_link_create(grant=grant, membership_id=row.id)
        link = request.build_absolute_uri(reverse("choose-password", args=[secret]))
        explains = (
            f"Send this link to {row.user}, and to nobody else. It works once, for {password_links.TTL.days} days or "
            "until they sign in, and is shown this once."
        )
        return Told(secret=link, explains=explains, next_url=asking.row_url(page, row))

    return asking.ask(page, request, question, asking.ChangeForm(asking.given(request)), make)


def _facts(row: Reach) -> dict[str, Any]:
    reach = "the whole organization"
    if row.workspace is not None:
        reach = f"workspace {row.workspace.name}"
    elif row.project_ids is not None:
        reach = f"{len(row.project_ids)} projects"
    return {"role": row.role, "reach": reach}


def _told(request: HttpRequest, _row: Invitation, secret: str) -> Told:
    link = request.build_absolute_uri(reverse("join", args=[secret]))
    return Told(secret=link, explains=_ONCE, next_url=reverse("admin:tenancy_invitation_changelist"))
