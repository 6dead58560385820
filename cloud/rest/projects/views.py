"""Projects: what planners work in. Tests: tests/integration/cloud/rest/test_units.py."""

from cloud.rest import units
from cloud.rest.collection import Collection
from cloud.rest.projects.messages import ProjectCreate, ProjectPage, ProjectQuery, ProjectView
from cloud.tenancy import projects, selectors
from cloud.tenancy.models import Project


def _view(row: Project) -> ProjectView:
    return ProjectView(project_id=row.id, workspace_id=row.workspace_id, **units.unit_facts(row))


_all = Collection(name="projects", path="/projects", id_name="project_id", view=_view, response=ProjectView)

ENDPOINTS = (
    _all.list(
        "Projects",
        "The projects within reach, oldest first.",
        selectors.project_page,
        query=ProjectQuery,
        page=ProjectPage,
    ),
    _all.create("Make a project", "A new project in a workspace.", projects.project_create, body=ProjectCreate),
    _all.get("A project", "One project.", selectors.project_get),
    _all.update("Rename a project", "Another name or slug.", projects.project_update, body=units.UnitUpdate),
    _all.act("suspend", "Suspend a project", "Refuse every call in it until it is resumed.", projects.project_suspend),
    _all.act(
        "resume",
        "Resume a project",
        "Take it into use again, also while it waits to be purged.",
        projects.project_resume,
    ),
    _all.delete(
        "Delete a project",
        "Refuse every call in it from now on, and purge it when its grace is over.",
        projects.project_delete,
    ),
)
