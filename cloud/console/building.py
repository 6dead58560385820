"""Workspaces and projects on pages: made, renamed, suspended, resumed, deleted with a grace period.

Called by `admin/tenancy.py`. Tests: tests/integration/cloud/console/test_acts.py.
"""

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from cloud.access import authorization
from cloud.access.principals import Grant
from cloud.console import asking, viewer
from cloud.console.asking import Done, Question
from cloud.console.tenant_admin import TenantAdmin
from cloud.tenancy import clocks, organizations, projects, units, workspaces
from cloud.tenancy.models import Organization, Unit, Workspace
from local_daemon.protocol import errors, limits
from local_daemon.protocol.scopes import Scope

_WRITES = MappingProxyType(
    {
        "organization": Scope.ORGANIZATION_WRITE,
        "workspace": Scope.WORKSPACES_WRITE,
        "project": Scope.PROJECTS_WRITE,
    }
)
_SERVICES: MappingProxyType[tuple[str, str], Callable[..., Unit]] = MappingProxyType(
    {
        ("organization", "rename"): organizations.organization_update,
        ("organization", "suspend"): organizations.organization_suspend,
        ("organization", "resume"): organizations.organization_resume,
        ("organization", "delete"): organizations.organization_delete,
        ("workspace", "rename"): workspaces.workspace_update,
        ("workspace", "suspend"): workspaces.workspace_suspend,
        ("workspace", "resume"): workspaces.workspace_resume,
        ("workspace", "delete"): workspaces.workspace_delete,
        ("project", "rename"): projects.project_update,
        ("project", "suspend"): projects.project_suspend,
        ("project", "resume"): projects.project_resume,
        ("project", "delete"): projects.project_delete,
    }
)
_EXPLAINED = MappingProxyType(
    {
        "suspend": "Every call in it is refused until it is resumed. Nothing is lost.",
        "resume": "It is in use again.",
        "delete": f"Every call in it is refused from now on, and it is purged in {units.GRACE.days} days. "
        "Until then it can be resumed.",
    }
)
_SHUTS_OUT = (
    "Its own people are shut out with it, you among them: only an operator of this installation can resume it "
    "(cloudctl org resume)."
)


class NameForm(asking.ChangeForm):
    """What it is called."""

    name = forms.CharField(max_length=limits.TITLE_CHARACTERS, widget=UnfoldAdminTextInputWidget)


class DeleteForm(asking.ChangeForm):
    """What it is called, typed: so that nobody deletes the one beside it."""

    def __init__(self, row: Unit, *args: Any, **facts: Any) -> None:
        super().__init__(*args, **facts)
        self._called = row.name
        self.fields["name"] = forms.CharField(
            max_length=limits.TITLE_CHARACTERS,
            widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
            label=f"Type its name: {row.name}",
        )

    def clean_name(self) -> str:
        """Exactly its own."""
        typed: str = self.cleaned_data["name"]
        if typed != self._called:
            raise forms.ValidationError("That is not its name.")
        return typed


class OrganizationForm(NameForm):
    """What it is called, and by whose clocks it lives."""

    time_zone = forms.ChoiceField(
        required=False,
        label="By the clocks of",
        help_text="For its schedules, its days, and the moments on these pages.",
        choices=lambda: [(name, name) for name in clocks.names()],
        widget=UnfoldAdminSelectWidget,
    )


class ProjectForm(NameForm):
    """A project's name and place."""

    def __init__(self, organization_id: Any, workspace_id: Any, *args: Any) -> None:
        super().__init__(*args)
        rows = Workspace.objects.filter(organization_id=organization_id, status="active").order_by("name")
        if workspace_id is not None:
            rows = rows.filter(id=workspace_id)
        self.fields["workspace"] = forms.ModelChoiceField(
            queryset=rows, widget=UnfoldAdminSelectWidget, empty_label=None
        )


def workspace_page(page: TenantAdmin, request: HttpRequest) -> HttpResponse:
    """Make a workspace."""
    grant = _grant_to_make(request, Scope.WORKSPACES_WRITE)
    question = Question(
        title="New workspace", explains="A part of the organization, with administrators of its own.", button="Make it"
    )

    def make(given: dict[str, Any]) -> Done:
        row = workspaces.workspace_create(grant=grant, name=given["name"])
        return Done(message=f"{row.name} is there.", next_url=asking.row_url(page, row))

    return asking.ask(page, request, question, NameForm(asking.given(request)), make)


def project_page(page: TenantAdmin, request: HttpRequest) -> HttpResponse:
    """Make a project."""
    grant = _grant_to_make(request, Scope.PROJECTS_WRITE)
    question = Question(
        title="New project", explains="What planners work in; machines are claimed for one.", button="Make it"
    )

    def make(given: dict[str, Any]) -> Done:
        row = projects.project_create(grant=grant, workspace_id=given["workspace"].id, name=given["name"])
        return Done(message=f"{row.name} is there.", next_url=asking.row_url(page, row))

    form = ProjectForm(grant.organization_id, grant.principal.workspace_id, asking.given(request))
    return asking.ask(page, request, question, form, make)


def rename_page(page: TenantAdmin, request: HttpRequest, row: Unit) -> HttpResponse:
    """Another name; an organization's time zone too."""
    question = Question(title=f"Rename {row.name}", explains="Its slug in URLs stays.", button="Rename")
    initial = {"name": row.name, "version": row.version}
    form: NameForm = NameForm(asking.given(request), initial=initial)
    if isinstance(row, Organization):
        question = replace(question, title=f"Change {row.name}", button="Change it")
        form = OrganizationForm(asking.given(request), initial={**initial, "time_zone": row.time_zone})

    def rename(given: dict[str, Any]) -> Done:
        zone = {"time_zone": given["time_zone"]} if given.get("time_zone") else {}
        made = _serve(page, request, row, "rename", given["version"], name=given["name"], **zone)
        return Done(message=f"It is called {made.name} now.", next_url=asking.row_url(page, row))

    return asking.ask(page, request, question, form, rename)


def advance_page(page: TenantAdmin, request: HttpRequest, row: Unit, event: str) -> HttpResponse:
    """Suspend, resume or delete it."""
    is_own_end = isinstance(row, Organization) and event != "resume"
    question = Question(
        title=f"{event.capitalize()} {row.name}",
        explains=f"{_EXPLAINED[event]} {_SHUTS_OUT}" if is_own_end else _EXPLAINED[event],
        button=event.capitalize(),
        facts={"status": row.status},
        is_grave=event != "resume",
    )

    def advance(given: dict[str, Any]) -> Done:
        made = _serve(page, request, row, event, given["version"])
        # An organization that is out of use shows its own people nothing of it any more.
        is_seen = request.user.is_superuser or not isinstance(row, Organization)
        next_url = asking.row_url(page, row) if is_seen else reverse("admin:index")
        return Done(message=f"{made.name} is {made.status}.", next_url=next_url)

    shown = {"version": row.version}
    form: asking.ChangeForm
    if event == "delete":
        form = DeleteForm(row, asking.given(request), initial=shown)
    else:
        form = asking.ChangeForm(asking.given(request), initial=shown)
    return asking.ask(page, request, question, form, advance)


def _serve(page: TenantAdmin, request: HttpRequest, row: Unit, what: str, version: Any, **facts: Any) -> Unit:
    kind = units.kind_of(row)
    organization_id = row.id if isinstance(row, Organization) else getattr(row, "organization_id", None)
    principal = viewer.principal_of(request, organization_id=organization_id)
    if principal is None:
        raise errors.Forbidden
    named = {} if isinstance(row, Organization) else {f"{kind}_id": row.id}
    grant = authorization.authorize(principal, _WRITES[kind])
    return _SERVICES[kind, what](grant=grant, expected_version=version or 0, **named, **facts)


def _grant_to_make(request: HttpRequest, scope: Scope) -> Grant:
    principal = viewer.principal_of(request)
    if principal is None:
        raise errors.Forbidden
    return authorization.authorize(principal, scope)
