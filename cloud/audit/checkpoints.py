"""Where an organization's chain stands, signed, to be kept elsewhere: it tells an older database.

A chain proves itself up to its end, and a backup's does too: only something kept outside knows that there was more.
Deliberately without rows of its own. Callers open the organization's scope. Called by `cloudctl audit`. Tests:
tests/integration/cloud/cloudctl/test_checkpoints.py.
"""

from datetime import UTC, datetime
from uuid import UUID

from pydantic import Field, ValidationError

from cloud.audit import chain, signing
from cloud.audit.models import AuditPruning, AuditSeal
from local_daemon.protocol import errors, wire


class KeptCheckpoint(wire.WireModel):
    """That a chain has come to `hash` at link `seq`, signed with the installation's key. Hashes and keys in
    hexadecimal."""

    organization_id: UUID
    seq: int = Field(ge=1)
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    public_key: str = Field(pattern=r"^[0-9a-f]{64}$")
    signature: str = Field(pattern=r"^[0-9a-f]{128}$")
    signed_at: wire.Instant


def checkpoint_make(org_id: UUID) -> KeptCheckpoint | None:
    """The chain's end as it is sealed now, signed; None where nothing was sealed yet."""
    head = AuditSeal.objects.filter(organization_id=org_id).order_by("-seq").values_list("seq", "hash").first()
    if head is None:
        return None
    seq, link_hash = head[0], bytes(head[1])
    signed = signing.sign(chain.checkpoint_message(organization_id=org_id, seq=seq, link_hash=link_hash))
    return KeptCheckpoint(
        organization_id=org_id,
        seq=seq,
        hash=link_hash.hex(),
        public_key=signed.public_key.hex(),
        signature=signed.signature.hex(),
        signed_at=datetime.now(UTC),
    )


def checkpoint_read(line: bytes) -> KeptCheckpoint:
    """One that was kept, as JSON. Raises InvalidRequest for what is none of this installation's."""
    try:
        kept = KeptCheckpoint.model_validate(wire.json_read(line))
    except (ValueError, ValidationError):
        raise errors.InvalidRequest("This is no checkpoint; `cloudctl audit checkpoint` writes them.") from None
    message = chain.checkpoint_message(
        organization_id=kept.organization_id, seq=kept.seq, link_hash=bytes.fromhex(kept.hash)
    )
    key, signature = bytes.fromhex(kept.public_key), bytes.fromhex(kept.signature)
    if key not in signing.believed_keys() or not signing.is_signed(message, public_key=key, signature=signature):
        raise errors.InvalidRequest("This checkpoint is not signed with a key of this installation.")
    return kept


def checkpoint_fault(kept: KeptCheckpoint) -> str | None:
    """What speaks against the chain having come by that checkpoint; None: it has, or that stretch was pruned since."""
    chains = AuditSeal.objects.filter(organization_id=kept.organization_id)
    found = chains.filter(seq=kept.seq).values_list("hash", flat=True).first()
    if found is not None:
        if bytes(found).hex() == kept.hash:
            return None
        return f"Link {kept.seq} is another one than when it was signed: the chain was written anew since."
    pruned = AuditPruning.objects.filter(organization_id=kept.organization_id, seq__gte=kept.seq).exists()
    if pruned:
        return None
    head = chains.order_by("-seq").values_list("seq", flat=True).first() or 0
    when = kept.signed_at.isoformat(timespec="seconds")
    return f"The chain ends at link {head}; on {when} it had come to link {kept.seq}: this database is older than that."
