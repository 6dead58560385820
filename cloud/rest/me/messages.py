"""Who asks, and what answers them. Tests: tests/integration/cloud/rest/test_me.py."""

from uuid import UUID

from local_daemon.protocol import wire
from local_daemon.protocol.scopes import Scope


class MyOrganization(wire.ViewModel):
    """The organization that a credential is of."""

    organization_id: UUID
    name: str
    slug: str


class MeView(wire.ViewModel):
    """A credential: whose, and how far it reaches. `project_ids` null: every project that its workspace, or else its
    organization, has."""

    kind: str
    id: str
    name: str
    organization: MyOrganization
    membership_id: UUID | None
    workspace_id: UUID | None
    project_ids: tuple[UUID, ...] | None
    scopes: tuple[Scope, ...]
    expires_at: wire.Instant | None


class StatusView(wire.ViewModel):
    """This cloud, and where its surfaces are."""

    version: str
    protocol_version: int
    http: str
    operations: str
    mcp: str
    openapi: str
