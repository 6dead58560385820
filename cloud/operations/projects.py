"""Projects, for who asks the cloud: what a credential reaches, and where that is.

Tests: tests/integration/cloud/operations/test_table.py.
"""

from cloud.access.principals import Grant
from cloud.connectors import selectors as connectors
from cloud.operations.operation import CloudOperation
from local_daemon.protocol import messages, wire
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.scopes import Scope


class LocationView(wire.ViewModel):
    """Where a project is: a shared repository on a machine."""

    location_id: str
    repository_id: str
    repository: str
    instance_id: str
    machine: str
    is_online: bool


class ProjectView(wire.ViewModel):
    """A project and where it is now."""

    project_id: str
    name: str
    slug: str
    workspace: str
    locations: tuple[LocationView, ...]


class ProjectPage(wire.ViewModel):
    """Projects within reach."""

    items: tuple[ProjectView, ...]


def projects_list(grant: Grant, _asked: messages.Empty) -> ProjectPage:
    """Projects and where they are."""
    return ProjectPage(
        items=tuple(
            ProjectView(
                project_id=str(project.id),
                name=project.name,
                slug=project.slug,
                workspace=project.workspace.name,
                locations=tuple(LocationView.model_validate(connectors.location_facts(row)) for row in shared),
            )
            for project, shared in connectors.project_list(grant=grant)
        )
    )


OPERATIONS = (
    CloudOperation(
        operation=Operation(
            name="projects.list",
            title="Projects",
            description="The projects this credential reaches, and on which machines each is shared now.",
            method="GET",
            path="/projects",
            scope=Scope.PROJECTS_READ,
            response=ProjectPage,
        ),
        answer=projects_list,
    ),
)
