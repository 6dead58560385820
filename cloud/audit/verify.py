"""Whether an organization's audit is what was written: its chain walked from the first link, its checkpoints checked.

Callers open the organization's scope. Called by `cloudctl audit verify` and the console.
Tests: tests/integration/cloud/audit/test_verify.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from django.db.models import Count, Exists, Min, OuterRef

from cloud.audit import chain
from cloud.audit.models import AuditCheckpoint, AuditEvent, AuditSeal

UNSEALED_AGE = timedelta(minutes=1)
_CHUNK = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found. `first_bad` says in a sentence where the chain breaks, or that sealing is late."""

    sealed: int
    unsealed: int
    checkpoints: int
    head_seq: int
    head_hash: str
    first_bad: str | None

    @property
    def ok(self) -> bool:
        """Whether everything is as it was written."""
        return self.first_bad is None


def chain_verify(org_id: UUID) -> Report:
    """Check every link, every event and every checkpoint of the organization, up to what is sealed now."""
    seq, hash_now, first_bad = 0, chain.GENESIS, None
    links: dict[int, bytes] = {}
    checkpoints = list(AuditCheckpoint.objects.filter(organization_id=org_id).order_by("seq"))
    signed_at_seq = {checkpoint.seq for checkpoint in checkpoints}
    for link, event in _links(org_id):
        first_bad = _fault(org_id, link, event, seq=seq + 1, prev_hash=hash_now)
        if first_bad:
            break
        seq, hash_now = link.seq, bytes(link.hash)
        if seq in signed_at_seq:
            links[seq] = hash_now
    first_bad = first_bad or _first_bad_checkpoint(org_id, checkpoints, links)
    unsealed, oldest = _unsealed(org_id)
    if first_bad is None and oldest is not None and datetime.now(UTC) - oldest > UNSEALED_AGE:
        first_bad = f"An event has been unsealed since {oldest.isoformat(timespec='seconds')}."
    return Report(
        sealed=seq,
        unsealed=unsealed,
        checkpoints=len(checkpoints),
        head_seq=seq,
        head_hash=hash_now.hex(),
        first_bad=first_bad,
    )


def _links(org_id: UUID) -> Iterator[tuple[AuditSeal, AuditEvent | None]]:
    last = 0
    while chunk := list(AuditSeal.objects.filter(organization_id=org_id, seq__gt=last).order_by("seq")[:_CHUNK]):
        events = AuditEvent.objects.filter(organization_id=org_id).in_bulk([link.event_id for link in chunk])
        for link in chunk:
            yield link, events.get(link.event_id)
        last = chunk[-1].seq


def _fault(org_id: UUID, link: AuditSeal, event: AuditEvent | None, *, seq: int, prev_hash: bytes) -> str | None:
    if link.seq != seq:
        return f"Link {seq} is missing."
    if event is None:
        return f"The event of link {seq} is missing."
    if chain.event_hash(event) != bytes(link.event_hash):
        return f"The event of link {seq} is not what was sealed."
    expected = chain.link_hash(organization_id=org_id, seq=seq, prev_hash=prev_hash, event_hash=bytes(link.event_hash))
    if bytes(link.prev_hash) != prev_hash or bytes(link.hash) != expected:
        return f"Link {seq} does not follow from the one before it."
    return None


def _first_bad_checkpoint(org_id: UUID, checkpoints: list[AuditCheckpoint], links: dict[int, bytes]) -> str | None:
    trusted = Ed25519PrivateKey.from_private_bytes(settings.AUDIT_SIGNING_KEY).public_key().public_bytes_raw()
    former = {bytes.fromhex(key) for key in getattr(settings, "AUDIT_FORMER_PUBLIC_KEYS", ())}
    for checkpoint in checkpoints:
        public_key = bytes(checkpoint.public_key)
        if public_key != trusted and public_key not in former:
            return f"The checkpoint at link {checkpoint.seq} is signed with an unknown key."
        # A checkpoint beyond the chain's end tells that the end was cut off.
        if links.get(checkpoint.seq) != bytes(checkpoint.hash):
            return f"The chain does not lead to the checkpoint at link {checkpoint.seq}."
        message = chain.checkpoint_message(organization_id=org_id, seq=checkpoint.seq, link_hash=bytes(checkpoint.hash))
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(bytes(checkpoint.signature), message)
        except InvalidSignature:
            return f"The signature of the checkpoint at link {checkpoint.seq} is wrong."
    return None


def _unsealed(org_id: UUID) -> tuple[int, datetime | None]:
    sealed = AuditSeal.objects.filter(event_id=OuterRef("id"))
    found = AuditEvent.objects.filter(~Exists(sealed), organization_id=org_id).aggregate(
        n=Count("id"), oldest=Min("at")
    )
    return found["n"], found["oldest"]
