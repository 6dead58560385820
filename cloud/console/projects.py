"""The projects a person may choose on a page, what else a machine may serve, and the grant for what was chosen.

A name alone says too little where two workspaces have a project "website": choices say `workspace/project`, and whose
they are to an operator. Tests: with the pages that use it, and tests/integration/cloud/console/test_acts.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django import forms
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminSelectMultipleWidget, UnfoldAdminSelectWidget

from cloud.access import authorization
from cloud.access.principals import Grant, Principal
from cloud.connectors.models import Claim
from cloud.console import viewer
from cloud.tenancy import grants, selectors
from cloud.tenancy.lifecycle import TenantStatus
from cloud.tenancy.models import Organization, Project, Workspace
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a machine may serve: one project, any of a workspace, or, without either, any of the organization."""

    label: str
    name: str
    organization_id: UUID
    workspace_id: UUID | None = None
    project_id: UUID | None = None

    def __str__(self) -> str:
        return self.name


class ProjectField(forms.ModelChoiceField):
    """One project, said with its place."""

    is_operators = False

    def label_from_instance(self, obj: Project) -> str:
        """As `label` has it."""
        return label(obj, with_organization=self.is_operators)


class ProjectsField(forms.ModelMultipleChoiceField):
    """Several."""

    is_operators = False

    def label_from_instance(self, obj: Project) -> str:
        """As `label` has it."""
        return label(obj, with_organization=self.is_operators)


def label(project: Project, *, with_organization: bool) -> str:
    """Where a project is, and what it is called."""
    place = f"{project.workspace.name}/{project.name}"
    return f"{project.organization.name}: {place}" if with_organization else place


def project_field(request: HttpRequest, *, empty: str | None = None) -> forms.ModelChoiceField:
    """A choice of the projects within the viewer's reach; row-level security keeps it to the organization. `empty` is
    what none is called, where none is a choice."""
    field = ProjectField(
        queryset=projects_reached(request),
        widget=UnfoldAdminSelectWidget,
        empty_label=empty,
        required=empty is None,
    )
    field.is_operators = viewer.principal_of(request) is None
    return field


def projects_field(request: HttpRequest, *, help_text: str) -> forms.ModelMultipleChoiceField:
    """A choice of any number of them, none included."""
    field = ProjectsField(
        queryset=projects_reached(request),
        widget=UnfoldAdminSelectMultipleWidget,
        required=False,
        help_text=help_text,
    )
    field.is_operators = viewer.principal_of(request) is None
    return field


def place_field(request: HttpRequest, *, organization_id: UUID | None = None) -> forms.TypedChoiceField:
    """A choice of what a machine may serve, within the viewer's reach (and that organization): projects first, then
    what is wider."""
    found = (one for one in places_reached(request) if organization_id in (None, one.organization_id))
    places = {str(_id_of(place)): place for place in found}
    return forms.TypedChoiceField(
        choices=[(key, place.label) for key, place in places.items()],
        coerce=places.__getitem__,
        widget=UnfoldAdminSelectWidget,
        label="For",
        help_text="A project; or any project of a workspace or of the organization, whose repositories somebody then "
        "maps to projects one by one.",
    )


def projects_reached(request: HttpRequest) -> QuerySet[Project]:
    """The active projects within the viewer's reach, by workspace and name."""
    projects = Project.objects.filter(status=TenantStatus.ACTIVE, is_workspace_active=True)
    projects = projects.select_related("organization", "workspace")
    projects = projects.order_by("organization__name", "workspace__name", "name")
    principal = viewer.principal_of(request)
    if principal is not None:
        projects = projects.filter(organization_id=principal.organization_id)
        if principal.project_ids is not None:
            projects = projects.filter(id__in=principal.project_ids)
    return projects


def projects_named(principal: Principal | None) -> QuerySet[Project]:
    """The projects, of any status, that a viewer may be told by name; an operator all."""
    if principal is None:
        return Project.objects.all()
    return selectors.projects_within_reach(authorization.authorize(principal, Scope.PROJECTS_READ))


def claims_named(principal: Principal | None) -> QuerySet[Claim]:
    """The claims for what a viewer may be told by name: a machine that serves a project of theirs may have been claimed
    for one that is not."""
    if principal is None or grants.reaches_everything(principal):
        return Claim.objects.all()
    within = Q(project_id__in=principal.project_ids or ()) | Q(project=None, workspace=None)
    if principal.workspace_id is not None:
        within |= Q(project=None, workspace_id=principal.workspace_id)
    return Claim.objects.filter(within)


def places_reached(request: HttpRequest) -> Iterable[Place]:
    """What the viewer may have a machine serve; three queries."""
    principal = viewer.principal_of(request)
    is_operator = principal is None
    for project in projects_reached(request):
        yield Place(
            label=label(project, with_organization=is_operator),
            name=project.name,
            organization_id=project.organization_id,
            workspace_id=project.workspace_id,
            project_id=project.id,
        )
    for workspace in _workspaces_reached(principal):
        whose = f"{workspace.organization.name}: " if is_operator else ""
        yield Place(
            label=f"{whose}{workspace.name}, any project",
            name=workspace.name,
            organization_id=workspace.organization_id,
            workspace_id=workspace.id,
        )
    for organization in _organizations_reached(principal):
        yield Place(
            label=f"{organization.name}, the whole organization",
            name=organization.name,
            organization_id=organization.id,
        )


def _workspaces_reached(principal: Principal | None) -> QuerySet[Workspace]:
    rows = Workspace.objects.filter(status=TenantStatus.ACTIVE).select_related("organization")
    rows = rows.order_by("organization__name", "name")
    if principal is None:
        return rows
    rows = rows.filter(organization_id=principal.organization_id)
    if grants.reaches_everything(principal):
        return rows
    return rows.filter(id=principal.workspace_id) if principal.workspace_id else rows.none()


def _organizations_reached(principal: Principal | None) -> QuerySet[Organization]:
    rows = Organization.objects.filter(status=TenantStatus.ACTIVE).order_by("name")
    if principal is None:
        return rows
    return rows.filter(id=principal.organization_id) if grants.reaches_everything(principal) else rows.none()


def _id_of(place: Place) -> UUID:
    return place.project_id or place.workspace_id or place.organization_id


def place_grant(request: HttpRequest, scope: Scope, place: Place) -> Grant:
    """The viewer's grant for what a machine shall serve. Raises Forbidden, NotFound."""
    principal = viewer.principal_of(request, organization_id=place.organization_id)
    if principal is None:
        raise errors.Forbidden
    return authorization.authorize(principal, scope, workspace_id=place.workspace_id, project_id=place.project_id)


def project_grant(request: HttpRequest, scope: Scope, project: Project) -> Grant:
    """The viewer's grant for that project. Raises Forbidden, NotFound."""
    principal = viewer.principal_of(request, organization_id=project.organization_id)
    if principal is None:
        raise errors.Forbidden
    return authorization.authorize(principal, scope, project_id=project.id)
