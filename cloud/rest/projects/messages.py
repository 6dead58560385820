"""Projects on the wire. Tests: tests/integration/cloud/rest/test_units.py."""

from uuid import UUID

from cloud.rest import queries
from cloud.rest.units import Slug, UnitView
from cloud.tenancy.lifecycle import TenantStatus
from local_daemon.protocol import messages, wire


class ProjectQuery(messages.PageQuery):
    """Projects, oldest first: of one workspace or status, or whose name or slug holds `search`."""

    workspace_id: UUID | None = None
    status: TenantStatus | None = None
    search: queries.Search = ""


class ProjectCreate(wire.WireModel):
    """A new place to work in; a slug is made of the name unless one is given."""

    workspace_id: UUID
    name: wire.Line
    slug: Slug | None = None


class ProjectView(UnitView):
    """What planners work in. Where it is on machines: `GET /locations?project_id=`."""

    project_id: UUID
    workspace_id: UUID


class ProjectPage(wire.ViewModel):
    """Projects within reach."""

    items: tuple[ProjectView, ...]
    next_cursor: str | None
