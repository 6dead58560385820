"""A stretch of an organization's chain as JSON Lines, for somebody who trusts neither us nor our database.

    {"kind": "header", "format": "ropeway-audit-export/1", "organization_id", "first_seq", "prev_hash", …}
    {"kind": "pruning", …}      what stands for links that are no more, in order
    {"kind": "event", "seq", "hash", "sealed_at", "event": {…}}
    {"kind": "checkpoint", "seq", "public_key", "signature", "signed_at"}      after the event it is of
    {"kind": "end", "seq", "hash", "events", "content_sha256", "public_key", "signature"}

The last line signs the stretch and every byte before it, so an export cut short is no export. Each line is canonical
JSON. `standalone_verifier.py` checks all of it. Callers open the organization's scope. Called by the HTTP API and
`cloudctl audit export`; the admin's export of its list, which is no proof, is told here too (`export_tell`). Tests:
tests/integration/cloud/audit/test_export.py.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from cloud.audit import chain, pruning, seal, selectors, services, signing, verify
from cloud.audit.event_types import EventType
from cloud.audit.models import AuditCheckpoint, AuditPruning, AuditSeal
from cloud.audit.verify import Link
from local_daemon.protocol import wire
from local_daemon.protocol.failpoints import failpoint

FORMAT = "ropeway-audit-export/1"
EVENTS_MAX = 1_000_000
"""In one export; what is left is another one, which goes on where this one ended."""

# The two ends of an index; the chain has no gap but what was pruned, at its beginning.
_CHAIN = "SELECT min(seq), max(seq) FROM audit_auditseal WHERE organization_id = %s"
_STRETCH = """
    SELECT min(s.seq), max(s.seq) FROM audit_auditevent e JOIN audit_auditseal s ON s.event_id = e.id
     WHERE e.organization_id = %s AND e.id >= %s AND e.id < %s
"""
_LAST_MOMENT = datetime(9999, 1, 1, tzinfo=UTC)
_FIRST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)


class NothingToExport(Exception):
    """No sealed event lies in that range; name a wider one."""


class PrunedMeanwhile(Exception):
    """Retention removed links before they were read; what was written so far is no export: begin anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Which links: by number (both ends included), or by when their events happened. None: from or to the end.

    A time gives the shortest unbroken stretch of the chain that holds every event of it, so that it can be verified;
    some events around it may come along. No more than `limit` or EVENTS_MAX, from the first on."""

    first_seq: int | None = None
    last_seq: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = EVENTS_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """The stretch that somebody takes along. `next_seq`: where the rest of what they asked for begins; None: there is
    none."""

    organization_id: UUID
    first_seq: int
    last_seq: int
    next_seq: int | None
    prev_hash: bytes


def export_begin(
    *, organization_id: UUID, asked: Range, actor: services.Actor | None, client_address: str | None = None
) -> Export:
    """Seal what is not sealed yet, choose the stretch and tell the audit who takes it along; nothing is read yet.

    It is told before the first line leaves, for nobody could keep a reader from going away with the last one; who goes
    away early has had less than is told. Raises NothingToExport."""
    seal.organization_seal_all(organization_id)
    with pruning.held_off(organization_id):
        export = _chosen(organization_id, asked)
    export_tell(
        organization_id=organization_id,
        actor=actor,
        client_address=client_address,
        details={
            "asked": _given(asked),
            "first_seq": export.first_seq,
            "last_seq": export.last_seq,
            "events": export.last_seq - export.first_seq + 1,
        },
    )
    return export


def export_tell(
    *, organization_id: UUID, actor: services.Actor | None, details: dict[str, Any], client_address: str | None = None
) -> None:
    """Tell the audit who takes events of it along, and which: of a stretch of the chain, and of the admin's tables."""
    with transaction.atomic():
        services.event_record(
            event_type=EventType.AUDIT_EXPORTED,
            principal=actor,
            organization_id=organization_id,
            target_kind="audit",
            target_id=organization_id,
            client_address=client_address,
            details=details,
        )
        transaction.on_commit(lambda: failpoint("cloud.audit_export.after_commit"))
        failpoint("cloud.audit_export.before_commit")


def export_pieces(export: Export) -> Iterator[bytes]:
    """The lines, each with its newline, up to a thousand events at a time; read as they are asked for.

    Each piece is read by itself and nothing of the database is held in between, so that each may be asked for in
    another thread, and a slow reader keeps no connection. Raises PrunedMeanwhile."""
    digest = hashlib.sha256()
    count, seq, link_hash = 0, export.first_seq - 1, export.prev_hash
    head = b"".join(map(_line, _head(export)))
    digest.update(head)
    yield head
    while seq < export.last_seq:
        links = verify.link_page(export.organization_id, after=seq, upto=export.last_seq)
        if not links or links[0].seq != seq + 1:
            _check_not_pruned(export.organization_id, seq + 1)
        if not links:
            break
        piece = b"".join(map(_line, _links(export.organization_id, links)))
        count, seq, link_hash = count + len(links), links[-1].seq, links[-1].hash
        digest.update(piece)
        yield piece
    yield _line(_end(export, seq, link_hash, count, digest.hexdigest()))


def _chosen(org_id: UUID, asked: Range) -> Export:
    first, last = _ends(org_id, asked)
    if first is not None:
        first, last = max(first, asked.first_seq or first), min(last, asked.last_seq or last)
    if first is None or first > last:
        raise NothingToExport
    upto = min(last, first + min(asked.limit, EVENTS_MAX) - 1)
    return Export(
        organization_id=org_id,
        first_seq=first,
        last_seq=upto,
        next_seq=upto + 1 if upto < last else None,
        prev_hash=bytes(AuditSeal.objects.values_list("prev_hash", flat=True).get(organization_id=org_id, seq=first)),
    )


def _ends(org_id: UUID, asked: Range) -> tuple[Any, Any]:
    with connection.cursor() as cursor:
        if asked.since is None and asked.until is None:
            cursor.execute(_CHAIN, [org_id])
        else:
            since, until = asked.since or _FIRST_MOMENT, asked.until or _LAST_MOMENT
            cursor.execute(_STRETCH, [org_id, selectors.first_id_at(since), selectors.first_id_at(until)])
        first, last = cursor.fetchone()
    return first, last


def _given(asked: Range) -> dict[str, int | str]:
    """The filter as it was said."""
    numbers = {"first_seq": asked.first_seq, "last_seq": asked.last_seq, "limit": asked.limit}
    moments = {"since": asked.since, "until": asked.until}
    return {
        **{name: number for name, number in numbers.items() if number is not None},
        **{name: _moment(at) for name, at in moments.items() if at is not None},
    }


def _check_not_pruned(org_id: UUID, seq: int) -> None:
    """A gap that nothing states is for the verifier to find."""
    if AuditPruning.objects.filter(organization_id=org_id, seq__gte=seq).exists():
        raise PrunedMeanwhile


def _head(export: Export) -> Iterator[dict[str, Any]]:
    yield {
        "kind": "header",
        "format": FORMAT,
        "organization_id": str(export.organization_id),
        "first_seq": export.first_seq,
        "prev_hash": export.prev_hash.hex(),
        "public_keys": [key.hex() for key in signing.believed_keys()],
        "exported_at": _moment(datetime.now(UTC)),
    }
    prunings = AuditPruning.objects.filter(organization_id=export.organization_id, seq__lt=export.first_seq)
    for stated in prunings.order_by("seq"):
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


def _links(org_id: UUID, links: list[Link]) -> Iterator[dict[str, Any]]:
    found = AuditCheckpoint.objects.filter(organization_id=org_id, seq__gte=links[0].seq, seq__lte=links[-1].seq)
    checkpoints = {checkpoint.seq: checkpoint for checkpoint in found}
    for link in links:
        yield {
            "kind": "event",
            "seq": link.seq,
            "hash": link.hash.hex(),
            "sealed_at": _moment(link.sealed_at),
            "event": link.event,
        }
        checkpoint = checkpoints.get(link.seq)
        if checkpoint is not None:
            yield {
                "kind": "checkpoint",
                "seq": checkpoint.seq,
                "public_key": bytes(checkpoint.public_key).hex(),
                "signature": bytes(checkpoint.signature).hex(),
                "signed_at": _moment(checkpoint.signed_at),
            }


def _end(export: Export, seq: int, link_hash: bytes, count: int, content_sha256: str) -> dict[str, Any]:
    message = chain.export_message(
        organization_id=export.organization_id,
        first_seq=export.first_seq,
        seq=seq,
        prev_hash=export.prev_hash,
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
