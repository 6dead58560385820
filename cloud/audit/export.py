"""A stretch of an organization's chain as JSON Lines, for somebody who trusts neither us nor our database.

    {"kind": "header", "format": "ropeway-audit-export/1", "organization_id", "first_seq", "prev_hash", …}
    {"kind": "pruning", …}      what stands for links that are no more, in order
    {"kind": "event", "seq", "hash", "sealed_at", "event": {…}}
    {"kind": "checkpoint", "seq", "public_key", "signature", "signed_at"}      after the event it is of
    {"kind": "end", "seq", "hash", "events", "content_sha256", "public_key", "signature"}

The last line signs the stretch and every byte before it, so an export cut short is no export. Each line is canonical
JSON. `standalone_verifier.py` checks all of it. Callers open the organization's scope and seal first. Called by
`cloudctl audit export` and the admin. Tests: tests/integration/cloud/audit/test_export.py.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection

from cloud.audit import chain, pruning, selectors, signing, verify
from cloud.audit.models import AuditCheckpoint, AuditPruning, AuditSeal
from local_daemon.protocol import wire

FORMAT = "ropeway-audit-export/1"

_STRETCH = """
    SELECT min(s.seq), max(s.seq) FROM audit_auditevent e JOIN audit_auditseal s ON s.event_id = e.id
     WHERE e.organization_id = %s AND e.id >= %s AND e.id < %s
"""
_LAST_MOMENT = datetime(9999, 1, 1, tzinfo=UTC)
_FIRST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)


class NothingToExport(Exception):
    """No sealed event lies in that range; name a wider one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Which links: by number (both ends included), or by when their events happened. None: from or to the end.

    A time gives the shortest unbroken stretch of the chain that holds every event of it, so that it can be verified;
    some events around it may come along."""

    first_seq: int | None = None
    last_seq: int | None = None
    since: datetime | None = None
    until: datetime | None = None


def events_export(org_id: UUID, *, asked: Range) -> Iterator[bytes]:
    """The lines, each with its newline; read as they are asked for. Raises NothingToExport."""
    with pruning.held_off(org_id):
        first, last = _stretch(org_id, asked)
        digest = hashlib.sha256()
        before = _hash_before(org_id, first)
        count, seq, link_hash = 0, first - 1, before
        for document in _documents(org_id, first, last, before):
            if document["kind"] == "event":
                count, seq, link_hash = count + 1, document["seq"], bytes.fromhex(document["hash"])
            line = _line(document)
            digest.update(line)
            yield line
        yield _line(_end(org_id, first, seq, before, link_hash, count, digest.hexdigest()))


def _stretch(org_id: UUID, asked: Range) -> tuple[int, int]:
    since, until = asked.since or _FIRST_MOMENT, asked.until or _LAST_MOMENT
    with connection.cursor() as cursor:
        cursor.execute(_STRETCH, [org_id, selectors.first_id_at(since), selectors.first_id_at(until)])
        first, last = cursor.fetchone()
    if first is not None:
        first, last = max(first, asked.first_seq or first), min(last, asked.last_seq or last)
    if first is None or first > last:
        raise NothingToExport
    return first, last


def _hash_before(org_id: UUID, first: int) -> bytes:
    return bytes(AuditSeal.objects.values_list("prev_hash", flat=True).get(organization_id=org_id, seq=first))


def _documents(org_id: UUID, first: int, last: int, before: bytes) -> Iterator[dict[str, Any]]:
    yield {
        "kind": "header",
        "format": FORMAT,
        "organization_id": str(org_id),
        "first_seq": first,
        "prev_hash": before.hex(),
        "public_keys": [key.hex() for key in signing.believed_keys()],
        "exported_at": _moment(datetime.now(UTC)),
    }
    for stated in AuditPruning.objects.filter(organization_id=org_id, seq__lt=first).order_by("seq"):
        yield {
            "kind": "pruning",
            "first_seq": stated.first_seq,
            "seq": stated.seq,
            "prev_hash": bytes(stated.prev_hash).hex(),
            "hash": bytes(stated.hash).hex(),
            "newest_at": _moment(stated.newest_at),
            "public_key": bytes(stated.public_key).hex(),
            "signature": bytes(stated.signature).hex(),
        }
    checkpoints = AuditCheckpoint.objects.filter(organization_id=org_id, seq__gte=first, seq__lte=last).order_by("seq")
    upcoming = iter(checkpoints.iterator(chunk_size=500))
    checkpoint = next(upcoming, None)
    for link in verify.links(org_id, after=first - 1, upto=last):
        yield {
            "kind": "event",
            "seq": link.seq,
            "hash": link.hash.hex(),
            "sealed_at": _moment(link.sealed_at),
            "event": link.event,
        }
        if checkpoint is not None and checkpoint.seq == link.seq:
            yield {
                "kind": "checkpoint",
                "seq": checkpoint.seq,
                "public_key": bytes(checkpoint.public_key).hex(),
                "signature": bytes(checkpoint.signature).hex(),
                "signed_at": _moment(checkpoint.signed_at),
            }
            checkpoint = next(upcoming, None)


def _end(
    org_id: UUID, first: int, seq: int, before: bytes, link_hash: bytes, count: int, content_sha256: str
) -> dict[str, Any]:
    message = chain.export_message(
        organization_id=org_id,
        first_seq=first,
        seq=seq,
        prev_hash=before,
        link_hash=link_hash,
        content_sha256=content_sha256,
    )
    signed = signing.sign(message)
    return {
        "kind": "end",
        "seq": seq,
        "hash": link_hash.hex(),
        "events": count,
        "content_sha256": content_sha256,
        "public_key": signed.public_key.hex(),
        "signature": signed.signature.hex(),
    }


def _line(document: dict[str, Any]) -> bytes:
    return wire.canonical_json(document) + b"\n"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
