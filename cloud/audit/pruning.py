"""Forgetting old events without breaking the chain: what goes is replaced by a signed statement of where it led.

Only a beginning of the chain is ever pruned, never its head, never what is not counted into rollups yet, and never what
is younger than AGE_MIN: the database itself refuses to delete a row that no statement covers, or a younger one. The
events are gone then; that they were, how many, and that what follows is unchanged stays provable. Callers open the
organization's scope. Called by `cloud.schedules`. Tests: tests/integration/cloud/audit/test_pruning.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import connection, transaction

from cloud.audit import chain, services, signing
from cloud.audit.event_types import EventType
from cloud.audit.models import AuditPruning, AuditRollupCursor
from local_daemon.protocol.failpoints import failpoint

BATCH = 20_000
AGE_MIN = timedelta(days=30)
"""The database knows this number too."""

# The longest beginning that is old enough, counted, and not the head; one row, seq NULL when there is none.
_PREFIX = """
    WITH beginning AS (
        SELECT s.seq, s.hash, s.prev_hash, e.at FROM audit_auditseal s JOIN audit_auditevent e ON e.id = s.event_id
         WHERE s.organization_id = %(org)s AND s.seq <= %(upto)s ORDER BY s.seq LIMIT %(limit)s
    ), stays AS (SELECT min(seq) AS seq FROM beginning WHERE at >= %(before)s),
    old AS (SELECT * FROM beginning WHERE seq < COALESCE((SELECT seq FROM stays), %(upto)s + 1))
    SELECT min(seq), max(seq), (array_agg(prev_hash ORDER BY seq))[1], (array_agg(hash ORDER BY seq DESC))[1], max(at)
      FROM old
"""
_UPTO = "SELECT max(seq) - 1 FROM audit_auditseal WHERE organization_id = %s"


def events_prune(org_id: UUID, *, before: datetime, limit: int = BATCH, is_counted: bool = True) -> int:
    """Remove the oldest links and events from before `before`, at most `limit`; how many. Repeat until 0.

    `is_counted`: somebody counts this chain into rollups; nobody does where its organization is gone. Raises
    ValueError for a `before` that is less than AGE_MIN ago."""
    if datetime.now(UTC) - before < AGE_MIN:
        raise ValueError(f"The audit is kept for at least {AGE_MIN.days} days.")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_lock_name(org_id)])
        cursor.execute(_UPTO, [org_id])
        upto = cursor.fetchone()[0] or 0
        if is_counted:
            upto = min(upto, _counted_upto(org_id))
        cursor.execute(_PREFIX, {"org": org_id, "upto": upto, "limit": limit, "before": before})
        first_seq, seq, prev_hash, link_hash, newest_at = cursor.fetchone()
        if seq is None:
            return 0
        stated = AuditPruning(
            organization_id=org_id,
            first_seq=first_seq,
            seq=seq,
            prev_hash=bytes(prev_hash),
            hash=bytes(link_hash),
            newest_at=newest_at,
            signed_at=datetime.now(UTC),
        )
        signed = signing.sign(message_of(org_id, stated))
        stated.public_key, stated.signature = signed.public_key, signed.signature
        stated.save(force_insert=True)
        cursor.execute("SELECT audit_prune(%s)", [seq])
        removed: int = cursor.fetchone()[0]
        services.event_record(
            event_type=EventType.AUDIT_PRUNED,
            principal=None,
            organization_id=org_id,
            target_kind="audit",
            target_id=stated.id,
            details={"first_seq": first_seq, "seq": seq, "newest_at": newest_at.isoformat()},
        )
        transaction.on_commit(lambda: failpoint("cloud.audit_prune.after_commit"))
        failpoint("cloud.audit_prune.before_commit")
    return removed


def message_of(org_id: UUID, stated: AuditPruning) -> bytes:
    """The bytes that a statement signs."""
    return chain.pruning_message(
        organization_id=org_id,
        first_seq=stated.first_seq,
        seq=stated.seq,
        prev_hash=bytes(stated.prev_hash),
        link_hash=bytes(stated.hash),
        newest_at=stated.newest_at.astimezone(UTC).isoformat(timespec="microseconds"),
    )


@contextmanager
def held_off(org_id: UUID) -> Iterator[None]:
    """Nothing is pruned inside: for who walks the chain in several reads."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(hashtextextended(%s, 0))", [_lock_name(org_id)])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock_shared(hashtextextended(%s, 0))", [_lock_name(org_id)])


def _lock_name(org_id: UUID) -> str:
    return f"ropeway-audit-pruning:{org_id}"


def _counted_upto(org_id: UUID) -> int:
    return AuditRollupCursor.objects.filter(organization_id=org_id).values_list("seq", flat=True).first() or 0
