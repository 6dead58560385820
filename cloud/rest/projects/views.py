"""Projects: what planners work in. Tests: tests/integration/cloud/rest/test_units.py."""

from uuid import UUID

from cloud.rest import pages, units
from cloud.rest.endpoints import Asked, IfMatch, endpoint
from cloud.rest.projects.messages import ProjectCreate, ProjectPage, ProjectQuery, ProjectView
from cloud.tenancy import projects, selectors
from cloud.tenancy.models import Project

_ONE = "/projects/{project_id}"


@endpoint(
    "GET",
    "/projects",
    name="projects.list",
    title="Projects",
    service=selectors.project_page,
    query=ProjectQuery,
    response=ProjectPage,
)
def projects_list(asked: Asked, query: ProjectQuery) -> ProjectPage:
    """The projects within reach, oldest first."""
    page = selectors.project_page(
        grant=asked.grant(),
        workspace_id=query.workspace_id,
        status=query.status,
        search=query.search,
        limit=query.limit,
        after=pages.after_row(query.cursor),
    )
    return ProjectPage(**pages.page_told(page, _view))


@endpoint(
    "POST",
    "/projects",
    name="projects.create",
    title="Make a project",
    service=projects.project_create,
    request=ProjectCreate,
    response=ProjectView,
    status=201,
)
def projects_create(asked: Asked, body: ProjectCreate) -> ProjectView:
    """A new project in a workspace."""
    return _view(
        projects.project_create(grant=asked.grant(), workspace_id=body.workspace_id, name=body.name, slug=body.slug)
    )


@endpoint(
    "GET",
    _ONE,
    name="projects.get",
    title="A project",
    service=selectors.project_get,
    response=ProjectView,
)
def projects_get(asked: Asked, project_id: UUID) -> ProjectView:
    """One project."""
    return _view(selectors.project_get(grant=asked.grant(), project_id=project_id))


@endpoint(
    "PATCH",
    _ONE,
    name="projects.update",
    title="Rename a project",
    service=projects.project_update,
    request=units.UnitUpdate,
    response=ProjectView,
    if_match=IfMatch.REQUIRED,
)
def projects_update(asked: Asked, project_id: UUID, body: units.UnitUpdate) -> ProjectView:
    """Another name or slug."""
    return _view(
        projects.project_update(
            grant=asked.grant(),
            project_id=project_id,
            name=body.name,
            slug=body.slug,
            expected_version=asked.expected_version,
        )
    )


@endpoint(
    "POST",
    f"{_ONE}/suspend",
    name="projects.suspend",
    title="Suspend a project",
    service=projects.project_suspend,
    response=ProjectView,
    if_match=IfMatch.HONOURED,
)
def projects_suspend(asked: Asked, project_id: UUID) -> ProjectView:
    """Refuse every call in it until it is resumed."""
    return _view(
        projects.project_suspend(grant=asked.grant(), project_id=project_id, expected_version=asked.expected_version)
    )


@endpoint(
    "POST",
    f"{_ONE}/resume",
    name="projects.resume",
    title="Resume a project",
    service=projects.project_resume,
    response=ProjectView,
    if_match=IfMatch.HONOURED,
)
def projects_resume(asked: Asked, project_id: UUID) -> ProjectView:
    """Take it into use again, also while it waits to be purged."""
    return _view(
        projects.project_resume(grant=asked.grant(), project_id=project_id, expected_version=asked.expected_version)
    )


@endpoint(
    "DELETE",
    _ONE,
    name="projects.delete",
    title="Delete a project",
    service=projects.project_delete,
    response=ProjectView,
    if_match=IfMatch.REQUIRED,
)
def projects_delete(asked: Asked, project_id: UUID) -> ProjectView:
    """Refuse every call in it from now on, and purge it when its grace is over."""
    return _view(
        projects.project_delete(grant=asked.grant(), project_id=project_id, expected_version=asked.expected_version)
    )


def _view(row: Project) -> ProjectView:
    return ProjectView(project_id=row.id, workspace_id=row.workspace_id, **units.unit_facts(row))


ENDPOINTS = (
    projects_list,
    projects_create,
    projects_get,
    projects_update,
    projects_suspend,
    projects_resume,
    projects_delete,
)
