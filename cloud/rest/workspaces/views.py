"""Workspaces: parts of an organization. Tests: tests/integration/cloud/rest/test_units.py."""

from cloud.rest import units
from cloud.rest.collection import Collection
from cloud.rest.workspaces.messages import WorkspaceCreate, WorkspacePage, WorkspaceQuery, WorkspaceView
from cloud.tenancy import selectors, workspaces
from cloud.tenancy.models import Workspace


def _view(row: Workspace) -> WorkspaceView:
    return WorkspaceView(workspace_id=row.id, **units.unit_facts(row))


_all = Collection(name="workspaces", path="/workspaces", id_name="workspace_id", view=_view, response=WorkspaceView)

ENDPOINTS = (
    _all.list(
        "Workspaces",
        "The workspaces within reach, oldest first.",
        selectors.workspace_page,
        query=WorkspaceQuery,
        page=WorkspacePage,
    ),
    _all.create("Make a workspace", "A new workspace.", workspaces.workspace_create, body=WorkspaceCreate),
    _all.get("A workspace", "One workspace.", selectors.workspace_get),
    _all.update("Rename a workspace", "Another name or slug.", workspaces.workspace_update, body=units.UnitUpdate),
    _all.act(
        "suspend",
        "Suspend a workspace",
        "Refuse everything in its projects until it is resumed.",
        workspaces.workspace_suspend,
    ),
    _all.act(
        "resume",
        "Resume a workspace",
        "Take it into use again, also while it waits to be purged.",
        workspaces.workspace_resume,
    ),
    _all.delete(
        "Delete a workspace",
        "Refuse everything in its projects from now on, and purge them when its grace is over.",
        workspaces.workspace_delete,
    ),
)
