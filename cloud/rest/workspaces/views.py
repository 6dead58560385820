"""Workspaces: parts of an organization. Tests: tests/integration/cloud/rest/test_units.py."""

from uuid import UUID

from cloud.rest import pages, units
from cloud.rest.endpoints import Asked, IfMatch, endpoint
from cloud.rest.workspaces.messages import WorkspaceCreate, WorkspacePage, WorkspaceQuery, WorkspaceView
from cloud.tenancy import selectors, workspaces
from cloud.tenancy.models import Workspace

_ONE = "/workspaces/{workspace_id}"


@endpoint(
    "GET",
    "/workspaces",
    name="workspaces.list",
    title="Workspaces",
    service=selectors.workspace_page,
    query=WorkspaceQuery,
    response=WorkspacePage,
)
def workspaces_list(asked: Asked, query: WorkspaceQuery) -> WorkspacePage:
    """The workspaces within reach, oldest first."""
    page = selectors.workspace_page(
        grant=asked.grant(),
        status=query.status,
        search=query.search,
        limit=query.limit,
        after=pages.after_row(query.cursor),
    )
    return WorkspacePage(**pages.page_told(page, _view))


@endpoint(
    "POST",
    "/workspaces",
    name="workspaces.create",
    title="Make a workspace",
    service=workspaces.workspace_create,
    request=WorkspaceCreate,
    response=WorkspaceView,
    status=201,
)
def workspaces_create(asked: Asked, body: WorkspaceCreate) -> WorkspaceView:
    """A new workspace."""
    return _view(workspaces.workspace_create(grant=asked.grant(), name=body.name, slug=body.slug))


@endpoint(
    "GET",
    _ONE,
    name="workspaces.get",
    title="A workspace",
    service=selectors.workspace_get,
    response=WorkspaceView,
)
def workspaces_get(asked: Asked, workspace_id: UUID) -> WorkspaceView:
    """One workspace."""
    return _view(selectors.workspace_get(grant=asked.grant(), workspace_id=workspace_id))


@endpoint(
    "PATCH",
    _ONE,
    name="workspaces.update",
    title="Rename a workspace",
    service=workspaces.workspace_update,
    request=units.UnitUpdate,
    response=WorkspaceView,
    if_match=IfMatch.REQUIRED,
)
def workspaces_update(asked: Asked, workspace_id: UUID, body: units.UnitUpdate) -> WorkspaceView:
    """Another name or slug."""
    return _view(
        workspaces.workspace_update(
            grant=asked.grant(),
            workspace_id=workspace_id,
            name=body.name,
            slug=body.slug,
            expected_version=asked.expected_version,
        )
    )


@endpoint(
    "POST",
    f"{_ONE}/suspend",
    name="workspaces.suspend",
    title="Suspend a workspace",
    service=workspaces.workspace_suspend,
    response=WorkspaceView,
    if_match=IfMatch.HONOURED,
)
def workspaces_suspend(asked: Asked, workspace_id: UUID) -> WorkspaceView:
    """Refuse everything in its projects until it is resumed."""
    return _view(
        workspaces.workspace_suspend(
            grant=asked.grant(), workspace_id=workspace_id, expected_version=asked.expected_version
        )
    )


@endpoint(
    "POST",
    f"{_ONE}/resume",
    name="workspaces.resume",
    title="Resume a workspace",
    service=workspaces.workspace_resume,
    response=WorkspaceView,
    if_match=IfMatch.HONOURED,
)
def workspaces_resume(asked: Asked, workspace_id: UUID) -> WorkspaceView:
    """Take it into use again, also while it waits to be purged."""
    return _view(
        workspaces.workspace_resume(
            grant=asked.grant(), workspace_id=workspace_id, expected_version=asked.expected_version
        )
    )


@endpoint(
    "DELETE",
    _ONE,
    name="workspaces.delete",
    title="Delete a workspace",
    service=workspaces.workspace_delete,
    response=WorkspaceView,
    if_match=IfMatch.REQUIRED,
)
def workspaces_delete(asked: Asked, workspace_id: UUID) -> WorkspaceView:
    """Refuse everything in its projects from now on, and purge them when its grace is over."""
    return _view(
        workspaces.workspace_delete(
            grant=asked.grant(), workspace_id=workspace_id, expected_version=asked.expected_version
        )
    )


def _view(row: Workspace) -> WorkspaceView:
    return WorkspaceView(workspace_id=row.id, **units.unit_facts(row))


ENDPOINTS = (
    workspaces_list,
    workspaces_create,
    workspaces_get,
    workspaces_update,
    workspaces_suspend,
    workspaces_resume,
    workspaces_delete,
)
