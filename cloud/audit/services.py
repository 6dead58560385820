"""Telling what happened, in the transaction in which it happened.

`event_record` is the only writer of AuditEvent. It runs in the caller's transaction and tenant scope, so a rolled-back
change leaves no trace and a committed one always does. Chaining comes later (`seal.py`).
Tests: tests/integration/cloud/audit/test_services.py.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from django.db import connection, transaction

from cloud.audit import origin, statements
from cloud.audit.event_types import EventType
from cloud.audit.models import Outcome
from local_daemon.protocol import ids, wire

DETAILS_BYTES = 8 * 1024
_LABEL_CHARACTERS = 200
# Twice on the path of every call: the ORM would take longer than the database.
_INSERT = """INSERT INTO audit_auditevent (id, organization_id, at, event_type, actor_kind, actor_id, actor_label,
    target_kind, target_id, project_id, call_id, outcome, duration_ms, client_address, details)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
# What a process that seals says with its events: that it will hear of the commit by itself (see `sealer`). Everybody
# else's commit notifies.
_HEARD_HERE = "SET LOCAL app.audit_is_heard = '1'"
_json = json.JSONEncoder(allow_nan=False).encode


class _Sealer:
    """Who in this process is to hear of committed events."""

    tell: Callable[[UUID], None] | None = None


def install_sealer(tell: Callable[[UUID], None] | None) -> None:
    """In a process that seals: whom to tell of each organization that has a new event; None when it stops."""
    _Sealer.tell = tell


class Actor(Protocol):
    """Who did it. A principal of `cloud.access` is one."""

    @property
    def kind(self) -> str:
        """One of ActorKind."""

    @property
    def id(self) -> UUID | str:
        """Which one."""

    @property
    def label(self) -> str:
        """What people call it."""

    @property
    def organization_id(self) -> UUID:
        """In whose name."""


def event_record(
    *,
    event_type: EventType,
    principal: Actor | None,
    target_kind: str,
    target_id: UUID | str,
    project_id: UUID | None = None,
    call_id: str | None = None,
    outcome: str = Outcome.OK,
    duration_ms: float | None = None,
    client_address: str | None = None,
    details: Mapping[str, Any] | None = None,
    organization_id: UUID | None = None,
) -> UUID:
    """Insert one event in the open transaction and scope, and answer its id; its commit wakes a sealer.

    Without a principal the installation itself acted, and `organization_id` says for whom; `client_address` is the
    request's own unless it is said. Raises ValueError when neither tells the organization, or when `details` exceed
    8 KiB."""
    owner = organization_id or (principal.organization_id if principal else None)
    if owner is None:
        raise ValueError("An audit event needs an organization.")
    said = _json(details or {})
    # Its canonical form is never the longer one.
    if len(said) > DETAILS_BYTES and len(wire.canonical_json(details)) > DETAILS_BYTES:
        raise ValueError(f"The details of {event_type} exceed {DETAILS_BYTES} bytes.")
    event_id = ids.new_uuid7()
    facts = (
        event_id,
        owner,
        datetime.now(UTC),
        event_type,
        principal.kind if principal else "system",
        str(principal.id) if principal else "",
        principal.label[:_LABEL_CHARACTERS] if principal else "",
        target_kind,
        str(target_id),
        project_id,
        call_id or "",
        outcome,
        duration_ms,
        client_address or origin.client_address(),
        said,
    )
    tell = _Sealer.tell
    if tell is not None and connection.in_atomic_block:
        statements.execute_later(_HEARD_HERE, [])
        transaction.on_commit(partial(tell, owner))
    statements.execute_later(_INSERT, facts)
    return event_id


def retention_tell(org_id: UUID, *, target_kind: str, count: int, before: datetime) -> None:
    """Tell that something old was forgotten, in the transaction that forgets it: of what kind, and from before when."""
    event_record(
        event_type=EventType.RETENTION_APPLIED,
        principal=None,
        organization_id=org_id,
        target_kind=target_kind,
        target_id=org_id,
        details={"count": count, "before": before.isoformat(timespec="seconds")},
    )
