"""Chaining what was committed: one batch of one organization.

Order is commit order, batch by batch: a batch holds what was visible and unsealed when it was taken, so an event that
commits later gets a later `seq` however long its transaction took; within a batch it is (transaction, id). Nothing
waits for a slow transaction, and nothing is skipped because of one: `horizon` moves only past what can no longer
appear. Callers open the organization's scope. Called by the sealer. Tests:
tests/integration/cloud/audit/test_seal.py.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from cloud.audit import chain
from cloud.audit.models import AuditCheckpoint, AuditEvent, AuditSeal
from local_daemon.protocol.failpoints import failpoint

BATCH = 1000
CHECKPOINT_LINKS = 1000
CHECKPOINT_AGE = timedelta(minutes=1)


def organization_seal_all(org_id: UUID, *, is_complete: bool = False) -> int:
    """Append the chain over all of the organization's unsealed events, batch by batch; how many there were.

    What commits meanwhile is left to the next time: who chased it would seal one by one for as long as anyone calls."""
    sealed = organization_seal(org_id, is_complete=is_complete)
    total = sealed
    while sealed == BATCH:
        sealed = organization_seal(org_id, is_complete=is_complete)
        total += sealed
    return total


def organization_seal(org_id: UUID, *, limit: int = BATCH, is_complete: bool = False) -> int:
    """Append the chain over the organization's unsealed events, at most `limit`; how many there were.

    `is_complete` looks at all events rather than from the horizon on: for a start, or a restored database, whose
    transaction numbers began anew. Sealers of several processes queue on one lock; the second finds nothing to do."""
    with transaction.atomic():
        # Statements see what is committed when they begin: the lock must be a statement of its own, and before the
        # rest.
        horizon_now = _lock_and_look(org_id)
        head = AuditSeal.objects.filter(organization_id=org_id).order_by("-seq").first()
        events = _unsealed(org_id, since=head.horizon if head and not is_complete else 0, limit=limit)
        if not events:
            return 0
        links = _links(org_id, head, events, is_whole=len(events) < limit, horizon_now=horizon_now)
        AuditSeal.objects.bulk_create(links)
        _checkpoint_if_due(org_id, links[-1])
        transaction.on_commit(lambda: failpoint("cloud.audit_seal.after_commit"))
        failpoint("cloud.audit_seal.before_commit")
    return len(events)


def _lock_and_look(org_id: UUID) -> int:
    """Take the organization's chain for this transaction; the number below which no transaction is under way."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"ropeway-audit:{org_id}"])
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        row: tuple[int] = cursor.fetchone()
    return row[0]


def _unsealed(org_id: UUID, *, since: int, limit: int) -> list[AuditEvent]:
    sealed = AuditSeal.objects.filter(event_id=OuterRef("id"))
    events = AuditEvent.objects.filter(~Exists(sealed), organization_id=org_id, transaction_id__gte=since)
    return list(events.order_by("transaction_id", "id")[:limit])


def _links(
    org_id: UUID, head: AuditSeal | None, events: list[AuditEvent], *, is_whole: bool, horizon_now: int
) -> list[AuditSeal]:
    # A batch cut off by its limit vouches only for what lies before its last event.
    horizon = horizon_now if is_whole else min(horizon_now, events[-1].transaction_id)
    seq, prev_hash = (head.seq, bytes(head.hash)) if head else (0, chain.GENESIS)
    now = datetime.now(UTC)
    links = []
    for event in events:
        seq += 1
        told = chain.event_hash(event)
        link = chain.link_hash(organization_id=org_id, seq=seq, prev_hash=prev_hash, event_hash=told)
        links.append(
            AuditSeal(
                organization_id=org_id,
                seq=seq,
                event_id=event.id,
                event_hash=told,
                prev_hash=prev_hash,
                hash=link,
                horizon=horizon,
                sealed_at=now,
            )
        )
        prev_hash = link
    return links


def _checkpoint_if_due(org_id: UUID, head: AuditSeal) -> None:
    last = AuditCheckpoint.objects.filter(organization_id=org_id).order_by("-seq").first()
    now = datetime.now(UTC)
    if last and head.seq - last.seq < CHECKPOINT_LINKS and now - last.signed_at < CHECKPOINT_AGE:
        return
    key = Ed25519PrivateKey.from_private_bytes(settings.AUDIT_SIGNING_KEY)
    message = chain.checkpoint_message(organization_id=org_id, seq=head.seq, link_hash=bytes(head.hash))
    AuditCheckpoint.objects.create(
        organization_id=org_id,
        seq=head.seq,
        hash=head.hash,
        public_key=key.public_key().public_bytes_raw(),
        signature=key.sign(message),
        signed_at=now,
    )
