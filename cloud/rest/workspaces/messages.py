"""Workspaces on the wire. Tests: tests/integration/cloud/rest/test_units.py."""

from uuid import UUID

from cloud.rest import queries
from cloud.rest.units import Slug, UnitView
from cloud.tenancy.lifecycle import TenantStatus
from local_daemon.protocol import messages, wire


class WorkspaceQuery(messages.PageQuery):
    """Workspaces, oldest first: of one status, or whose name or slug holds `search`."""

    status: TenantStatus | None = None
    search: queries.Search = ""


class WorkspaceCreate(wire.WireModel):
    """A new part of the organization; a slug is made of the name unless one is given."""

    name: wire.Line
    slug: Slug | None = None


class WorkspaceView(UnitView):
    """A part of an organization."""

    workspace_id: UUID


class WorkspacePage(wire.ViewModel):
    """Workspaces within reach."""

    items: tuple[WorkspaceView, ...]
    next_cursor: str | None
