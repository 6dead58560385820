"""What is hashed and what is signed: the byte forms behind the chain. Pure, so that anyone can verify an export.

    event_hash = sha256(canonical JSON of the event's facts)
    hash       = sha256(domain, organization, seq, prev_hash, event_hash)
    signature  = Ed25519(domain, organization, what is stated)

`standalone_verifier.py` says the same again without us; a test holds the two together. Called by `seal`, `verify`,
`export` and `pruning`. Tests: tests/unit/cloud/audit/test_chain.py.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

from local_daemon.protocol import wire

GENESIS = bytes(32)
_LINK_DOMAIN = "ropeway-audit-link"
_CHECKPOINT_DOMAIN = "ropeway-audit-checkpoint"
_PRUNING_DOMAIN = "ropeway-audit-pruning"
_EXPORT_DOMAIN = "ropeway-audit-export"
_VERSION = "1"

# What `wire.canonical_json` makes of a text, and of the rest.
_text = json.encoder.encode_basestring
_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode

# The row of an event as `event_facts` wants it: plain columns, for an object a row would cost more than its digest.
EVENT_COLUMNS = (
    "e.id, e.organization_id, e.at, e.event_type, e.actor_kind, e.actor_id, e.actor_label, e.target_kind, e.target_id, "
    "e.project_id, e.call_id, e.outcome, e.duration_ms, host(e.client_address), e.details"
)


def event_facts(row: Sequence[Any]) -> dict[str, Any]:
    """Everything that an event says, of a row of EVENT_COLUMNS; `details` is JSON as text, as the driver gives it."""
    (
        event_id, organization_id, at, event_type, actor_kind, actor_id, actor_label, target_kind, target_id,
        project_id, call_id, outcome, duration_ms, client_address, details,
    ) = row  # fmt: skip
    return {
        "id": str(event_id),
        "organization_id": str(organization_id),
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "event_type": event_type,
        "actor_kind": actor_kind,
        "actor_id": actor_id,
        "actor_label": actor_label,
        "target_kind": target_kind,
        "target_id": target_id,
        "project_id": str(project_id) if project_id else None,
        "call_id": call_id,
        "outcome": outcome,
        "duration_ms": duration_ms,
        "client_address": client_address,
        "details": json.loads(details),
    }


def event_hash(facts: Mapping[str, Any]) -> bytes:
    """The digest of everything an event says."""
    return hashlib.sha256(wire.canonical_json(facts)).digest()


def row_hash(row: Sequence[Any]) -> bytes:
    """The digest of a row of EVENT_COLUMNS: `event_hash(event_facts(row))`, written out, for half the time."""
    (
        event_id, organization_id, at, event_type, actor_kind, actor_id, actor_label, target_kind, target_id,
        project_id, call_id, outcome, duration_ms, client_address, details,
    ) = row  # fmt: skip
    address = "null" if client_address is None else _text(client_address)
    project = "null" if project_id is None else f'"{project_id}"'
    free = _json({"details": json.loads(details), "duration_ms": duration_ms})
    text = (
        f'{{"actor_id":{_text(actor_id)},"actor_kind":{_text(actor_kind)},"actor_label":{_text(actor_label)},'
        f'"at":"{at.astimezone(UTC).isoformat(timespec="microseconds")}","call_id":{_text(call_id)},'
        f'"client_address":{address},{free[1:-1]},'
        f'"event_type":{_text(event_type)},"id":"{event_id}","organization_id":"{organization_id}",'
        f'"outcome":{_text(outcome)},"project_id":{project},'
        f'"target_id":{_text(target_id)},"target_kind":{_text(target_kind)}}}'
    )
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).digest()


def link_hash(*, organization_id: UUID | str, seq: int, prev_hash: bytes, event_hash: bytes) -> bytes:
    """The digest of the chain up to and including `seq`."""
    head = f"{_LINK_DOMAIN}\n{_VERSION}\n{organization_id}\n{seq}\n"
    return hashlib.sha256(head.encode() + prev_hash + event_hash).digest()


def checkpoint_message(*, organization_id: UUID, seq: int, link_hash: bytes) -> bytes:
    """The bytes a checkpoint signs."""
    return _stated(_CHECKPOINT_DOMAIN, organization_id, seq, link_hash.hex())


def pruning_message(
    *, organization_id: UUID, first_seq: int, seq: int, prev_hash: bytes, link_hash: bytes, newest_at: str
) -> bytes:
    """The bytes that stand for the links `first_seq` to `seq`, which are no more: where they began and led to."""
    return _stated(_PRUNING_DOMAIN, organization_id, first_seq, seq, prev_hash.hex(), link_hash.hex(), newest_at)


def export_message(
    *, organization_id: UUID, first_seq: int, seq: int, prev_hash: bytes, link_hash: bytes, content_sha256: str
) -> bytes:
    """The bytes that the last line of an export signs: which stretch it holds, and every byte before that line."""
    return _stated(_EXPORT_DOMAIN, organization_id, first_seq, seq, prev_hash.hex(), link_hash.hex(), content_sha256)


def _stated(domain: str, *facts: object) -> bytes:
    return "\n".join((domain, _VERSION, *map(str, facts))).encode()
