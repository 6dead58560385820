"""Request and response bodies of the cloud's own operations. Requests are strict; no secret in a view but the new one.

`table` says which operation takes and gives which. Tests: tests/integration/cloud/operations/.
"""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints

from cloud.audit.models import RollupPeriod
from local_daemon.protocol import limits, messages, wire
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


class ConnectorView(wire.ViewModel):
    """A machine."""

    connector_id: str
    label: str
    status: str
    is_online: bool
    last_seen_at: wire.Instant | None
    project_ids: tuple[str, ...]
    instances: tuple[str, ...]


class ConnectorPage(wire.ViewModel):
    """Machines within reach."""

    items: tuple[ConnectorView, ...]


class ConnectorClaim(wire.WireModel):
    """Claims the machine that shows this code."""

    project_id: UUID
    claim_code: str = Field(min_length=1, max_length=20)


class EnrollmentCodeCreate(wire.WireModel):
    """Asks for a one-time code."""

    project_id: UUID
    minutes: wire.Integer = Field(default=60, ge=1, le=30 * 24 * 60)
    label: wire.Line | None = None


class EnrollmentCodeView(wire.ViewModel):
    """A one-time code; its text is told this once."""

    code: str
    expires_at: wire.Instant


class TokenMint(wire.WireModel):
    """Asks for a token that can do at most what the asker can."""

    name: wire.Line
    scopes: tuple[Scope, ...] = Field(min_length=1, max_length=limits.LIST_ITEMS)
    project_ids: tuple[UUID, ...] | None = Field(default=None, max_length=limits.LIST_ITEMS)
    expires_at: wire.Instant | None = None


class TokenRevoke(wire.WireModel):
    """Ends a token."""

    token_id: UUID


class TokenView(wire.ViewModel):
    """A token; its secret is told only in the answer that made it."""

    token_id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    project_ids: tuple[str, ...] | None
    expires_at: wire.Instant | None
    revoked_at: wire.Instant | None
    last_used_at: wire.Instant | None
    secret: str | None = None


class TokenPage(wire.ViewModel):
    """The organization's tokens."""

    items: tuple[TokenView, ...]


class AuditQuery(messages.PageQuery):
    """Audit events, newest first; of one kind where it is named."""

    event_type: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,31}:[a-z_]{1,31}$")] | None = None


class AuditEventView(wire.ViewModel):
    """One thing that happened."""

    event_id: str
    at: wire.Instant
    event_type: str
    actor_kind: str
    actor: str
    target_kind: str
    target_id: str
    project_id: str | None
    call_id: str | None
    outcome: str
    duration_ms: float | None
    details: dict[str, Any]


class AuditPage(wire.ViewModel):
    """Audit events, newest first."""

    items: tuple[AuditEventView, ...]
    next_cursor: str | None = None


class RollupQuery(wire.WireModel):
    """How often what happened, by hour or by day (UTC), newest first."""

    period: RollupPeriod = RollupPeriod.HOUR
    limit: wire.QueryInteger = Field(default=limits.PAGE_ITEMS_DEFAULT, ge=1, le=limits.PAGE_ITEMS_MAX)


class RollupView(wire.ViewModel):
    """One count."""

    bucket_start: wire.Instant
    event_type: str
    outcome: str
    count: int


class RollupPage(wire.ViewModel):
    """Counts, and when they were last brought up to date."""

    items: tuple[RollupView, ...]
    counted_at: wire.Instant | None
