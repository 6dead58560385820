"""The audit on the wire. Tests: tests/integration/cloud/rest/test_audit.py."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from cloud.audit import export
from cloud.operations.audit import AuditEventView
from cloud.rest import queries
from local_daemon.protocol import limits, messages, wire

_EventType = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,31}:[a-z_]{1,31}$")]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
_Seq = Annotated[wire.QueryInteger, Field(ge=1, le=limits.SEQ_MAX)]


class AuditQuery(messages.PageQuery):
    """Events, newest first: those that fit all that is asked; from `since` to before `until`."""

    event_type: _EventType | None = None
    actor_id: _Name | None = None
    target_id: _Name | None = None
    call_id: _Name | None = None
    project_id: UUID | None = None
    failed_only: queries.Flag = False
    since: wire.Instant | None = None
    until: wire.Instant | None = None


class AuditEventsPage(wire.ViewModel):
    """What happened, newest first."""

    items: tuple[AuditEventView, ...]
    next_cursor: str | None


class AuditChain(wire.ViewModel):
    """How far the organization's chain goes; nothing of it is checked here. `links`: how many an export walks."""

    head_seq: int
    head_hash: str | None
    sealed_at: wire.Instant | None
    links: int
    unsealed: int
    oldest_unsealed_at: wire.Instant | None


class ExportQuery(wire.WireModel):
    """Which stretch of the chain: by number (both ends included), or by when its events happened; of it, the first
    `limit` events."""

    first_seq: _Seq | None = None
    last_seq: _Seq | None = None
    since: wire.Instant | None = None
    until: wire.Instant | None = None
    limit: wire.QueryInteger = Field(default=export.EVENTS_MAX, ge=1, le=export.EVENTS_MAX)
