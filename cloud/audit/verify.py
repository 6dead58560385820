"""Whether an organization's audit is what was written: its chain walked from where it begins, every signature checked.

It begins at the first link, or where the last signed statement of a pruning says that what was before has led to.
Callers open the organization's scope. Called by `cloudctl audit verify` and the operation `audit.verify`; an
export is checked without us, by `standalone_verifier`. Tests: tests/integration/cloud/audit/test_verify.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Exists, Min, OuterRef

from cloud.audit import chain, pruning, signing
from cloud.audit.models import AuditCheckpoint, AuditEvent, AuditPruning, AuditSeal

UNSEALED_AGE = timedelta(minutes=1)
LINKS_AT_ONCE = 1000
_LINKS = f"""
    SELECT s.seq, s.event_hash, s.prev_hash, s.hash, s.sealed_at, {chain.EVENT_COLUMNS}
      FROM audit_auditseal s LEFT JOIN audit_auditevent e ON e.id = s.event_id
     WHERE s.organization_id = %s AND s.seq > %s AND s.seq <= %s ORDER BY s.seq LIMIT %s
"""  # noqa: S608 - constants
_LINK_COLUMNS = 5
_LINK_HASH = 3
_FOREVER = 2**63 - 1
_Row = tuple[Any, ...]
"""Of _LINKS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found. `first_bad` says in a sentence where the chain breaks, or that sealing is late."""

    sealed: int
    pruned: int
    unsealed: int
    checkpoints: int
    head_seq: int
    head_hash: str
    first_bad: str | None

    @property
    def ok(self) -> bool:
        """Whether everything is as it was written."""
        return self.first_bad is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link of the chain and the facts of its event; None: the event is not there."""

    seq: int
    event_hash: bytes
    prev_hash: bytes
    hash: bytes
    sealed_at: datetime
    event: dict[str, Any] | None


def link_page(org_id: UUID, *, after: int, upto: int) -> list[Link]:
    """The next links in order, at most LINKS_AT_ONCE."""
    return [_link(row) for row in _page(org_id, after=after, upto=upto)]


def _page(org_id: UUID, *, after: int, upto: int) -> list[_Row]:
    with connection.cursor() as cursor:
        cursor.execute(_LINKS, [org_id, after, upto, LINKS_AT_ONCE])
        found: list[_Row] = cursor.fetchall()
    return found


def _rows(org_id: UUID, *, after: int) -> Iterator[_Row]:
    """Every link in order; a row is never an object, for making one takes longer than checking it."""
    while found := _page(org_id, after=after, upto=_FOREVER):
        yield from found
        after = found[-1][0]


def _link(row: _Row) -> Link:
    seq, event_hash, prev_hash, link_hash, sealed_at = row[:_LINK_COLUMNS]
    event = row[_LINK_COLUMNS:]
    return Link(
        seq=seq,
        event_hash=bytes(event_hash),
        prev_hash=bytes(prev_hash),
        hash=bytes(link_hash),
        sealed_at=sealed_at,
        event=chain.event_facts(event) if event[0] is not None else None,
    )


def chain_verify(org_id: UUID) -> Report:
    """Check every link, every event, every checkpoint and every pruning, up to what is sealed now."""
    with pruning.held_off(org_id):
        return _verified(org_id)


def _verified(org_id: UUID) -> Report:
    prunings = list(AuditPruning.objects.filter(organization_id=org_id).order_by("seq"))
    pruned, hash_now = (prunings[-1].seq, bytes(prunings[-1].hash)) if prunings else (0, chain.GENESIS)
    first_bad = _first_bad_pruning(org_id, prunings)
    checkpoints = list(AuditCheckpoint.objects.filter(organization_id=org_id).order_by("seq"))
    signed_at_seq = {checkpoint.seq for checkpoint in checkpoints}
    reached, seq = {pruned: hash_now}, pruned
    organization = str(org_id)
    for row in _rows(org_id, after=0) if first_bad is None else ():
        first_bad = _fault(organization, row, seq=seq + 1, prev_hash=hash_now)
        if first_bad:
            break
        seq, hash_now = row[0], row[_LINK_HASH]
        if seq in signed_at_seq:
            reached[seq] = hash_now
    first_bad = first_bad or _first_bad_checkpoint(org_id, checkpoints, reached, pruned=pruned)
    unsealed, oldest = _unsealed(org_id)
    if first_bad is None and oldest is not None and datetime.now(UTC) - oldest > UNSEALED_AGE:
        first_bad = f"An event has been unsealed since {oldest.isoformat(timespec='seconds')}."
    return Report(
        sealed=seq - pruned,
        pruned=pruned,
        unsealed=unsealed,
        checkpoints=len(checkpoints),
        head_seq=seq,
        head_hash=hash_now.hex(),
        first_bad=first_bad,
    )


def _fault(organization: str, row: _Row, *, seq: int, prev_hash: bytes) -> str | None:
    found_seq, event_hash, found_prev_hash, link_hash, _sealed_at, *event = row
    if found_seq != seq:
        return f"Link {seq} is missing."
    if event[0] is None:
        return f"The event of link {seq} is missing."
    if chain.row_hash(event) != event_hash:
        return f"The event of link {seq} is not what was sealed."
    expected = chain.link_hash(organization_id=organization, seq=seq, prev_hash=prev_hash, event_hash=event_hash)
    if found_prev_hash != prev_hash or link_hash != expected:
        return f"Link {seq} does not follow from the one before it."
    return None


def _first_bad_pruning(org_id: UUID, prunings: Sequence[AuditPruning]) -> str | None:
    believed = signing.believed_keys()
    seq, hash_now = 0, chain.GENESIS
    for stated in prunings:
        where = f"The pruning of links {stated.first_seq} to {stated.seq}"
        if (stated.first_seq, bytes(stated.prev_hash)) != (seq + 1, hash_now):
            return f"{where} does not follow from what was before."
        fault = _signature_fault(pruning.message_of(org_id, stated), stated, believed)
        if fault:
            return f"{where} is signed with {fault}."
        seq, hash_now = stated.seq, bytes(stated.hash)
    return None


def _first_bad_checkpoint(
    org_id: UUID, checkpoints: Sequence[AuditCheckpoint], reached: dict[int, bytes], *, pruned: int
) -> str | None:
    believed = signing.believed_keys()
    for checkpoint in checkpoints:
        link_hash = bytes(checkpoint.hash)
        message = chain.checkpoint_message(organization_id=org_id, seq=checkpoint.seq, link_hash=link_hash)
        fault = _signature_fault(message, checkpoint, believed)
        if fault:
            return f"The checkpoint at link {checkpoint.seq} is signed with {fault}."
        # A checkpoint beyond the chain's end tells that the end was cut off.
        if checkpoint.seq >= pruned and reached.get(checkpoint.seq) != link_hash:
            return f"The chain does not lead to the checkpoint at link {checkpoint.seq}."
    return None


def _signature_fault(message: bytes, stated: AuditCheckpoint | AuditPruning, believed: Sequence[bytes]) -> str | None:
    public_key = bytes(stated.public_key)
    if public_key not in believed:
        return "an unknown key"
    if not signing.is_signed(message, public_key=public_key, signature=bytes(stated.signature)):
        return "a wrong signature"
    return None


def _unsealed(org_id: UUID) -> tuple[int, datetime | None]:
    sealed = AuditSeal.objects.filter(event_id=OuterRef("id"))
    found = AuditEvent.objects.filter(~Exists(sealed), organization_id=org_id).aggregate(
        n=Count("id"), oldest=Min("at")
    )
    return found["n"], found["oldest"]
