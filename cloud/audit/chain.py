"""What is hashed and what is signed: the byte forms behind the chain. Pure, so that anyone can verify an export.

    event_hash = sha256(canonical JSON of the event)
    hash       = sha256(domain, organization, seq, prev_hash, event_hash)
    signature  = Ed25519(domain, organization, seq, hash)

Called by `seal.py` and `verify.py`. Tests: tests/unit/cloud/audit/test_chain.py.
"""

import hashlib
from datetime import UTC
from uuid import UUID

from cloud.audit.models import AuditEvent
from local_daemon.protocol import wire

GENESIS = bytes(32)
_LINK_DOMAIN = "ropeway-audit-link"
_CHECKPOINT_DOMAIN = "ropeway-audit-checkpoint"
_VERSION = "1"


def event_hash(event: AuditEvent) -> bytes:
    """The digest of everything an event says, as it is stored."""
    told = {
        "id": str(event.id),
        "organization_id": str(event.organization_id),
        "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "event_type": event.event_type,
        "actor_kind": event.actor_kind,
        "actor_id": event.actor_id,
        "actor_label": event.actor_label,
        "target_kind": event.target_kind,
        "target_id": event.target_id,
        "project_id": str(event.project_id) if event.project_id else None,
        "call_id": event.call_id,
        "outcome": event.outcome,
        "duration_ms": event.duration_ms,
        "client_address": event.client_address,
        "details": event.details,
    }
    return hashlib.sha256(wire.canonical_json(told)).digest()


def link_hash(*, organization_id: UUID, seq: int, prev_hash: bytes, event_hash: bytes) -> bytes:
    """The digest of the chain up to and including `seq`."""
    head = "\n".join((_LINK_DOMAIN, _VERSION, str(organization_id), str(seq), ""))
    return hashlib.sha256(head.encode() + prev_hash + event_hash).digest()


def checkpoint_message(*, organization_id: UUID, seq: int, link_hash: bytes) -> bytes:
    """The bytes a checkpoint signs."""
    return "\n".join((_CHECKPOINT_DOMAIN, _VERSION, str(organization_id), str(seq), link_hash.hex())).encode()
