"""The projects a person may choose on a page, and the grant for the chosen one. Tests: with the pages that use it."""

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminSelectWidget

from cloud.access import authorization
from cloud.access.principals import Grant
from cloud.console import viewer
from cloud.tenancy.models import Project, Status
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


def project_field(request: HttpRequest, *, empty: str | None = None) -> forms.ModelChoiceField:
    """A choice of the projects within the viewer's reach; row-level security keeps it to the organization. `empty` is
    what none is called, where none is a choice."""
    return forms.ModelChoiceField(
        queryset=projects_reached(request),
        widget=UnfoldAdminSelectWidget,
        empty_label=empty,
        required=empty is None,
    )


def projects_reached(request: HttpRequest) -> QuerySet[Project]:
    """The active projects within the viewer's reach, by name."""
    projects = Project.objects.filter(status=Status.ACTIVE).select_related("organization").order_by("name")
    principal = viewer.principal_of(request)
    if principal is not None:
        projects = projects.filter(organization_id=principal.organization_id)
        if principal.project_ids is not None:
            projects = projects.filter(id__in=principal.project_ids)
    return projects


def project_grant(request: HttpRequest, scope: Scope, project: Project) -> Grant:
    """The viewer's grant for that project. Raises Forbidden, NotFound."""
    principal = viewer.principal_of(request, organization_id=project.organization_id)
    if principal is None:
        raise errors.Forbidden
    return authorization.authorize(principal, scope, project_id=project.id)
