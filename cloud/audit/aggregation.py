"""Counting sealed events into hours and days.

Follows the chain's order with a cursor that moves in the transaction of the counts: each event is counted exactly once,
whatever is repeated or killed, and one that committed late is counted in the hour it happened. Callers open the
organization's scope. Called by `cloud.schedules.audit_rollups`. Tests:
tests/integration/cloud/audit/test_aggregation.py.
"""

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

from django.db import connection, transaction

from cloud.audit.models import AuditRollupCursor, AuditSeal, RollupPeriod
from local_daemon.protocol import ids
from local_daemon.protocol.failpoints import failpoint

BATCH = 50_000

_COUNT = """
    SELECT date_trunc('hour', e.at AT TIME ZONE 'UTC'), e.event_type, e.outcome, count(*)
      FROM audit_auditseal s JOIN audit_auditevent e ON e.id = s.event_id
     WHERE s.organization_id = %(org)s AND s.seq > %(after)s AND s.seq <= %(upto)s
     GROUP BY 1, 2, 3
"""
_ADD = """
    INSERT INTO audit_auditrollup
           (id, organization_id, period, bucket_start, event_type, outcome, count, aggregated_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (organization_id, period, bucket_start, event_type, outcome)
        DO UPDATE SET count = audit_auditrollup.count + EXCLUDED.count, aggregated_at = EXCLUDED.aggregated_at
"""

Bucket = tuple[str, datetime, str, str]


def rollups_aggregate(org_id: UUID, *, limit: int = BATCH) -> int:
    """Count the organization's next sealed events, at most `limit`; how many there were. Repeat until 0."""
    now = datetime.now(UTC)
    with transaction.atomic():
        AuditRollupCursor.objects.get_or_create(organization_id=org_id, defaults={"aggregated_at": now})
        # One counter at a time: a second one waits here, then starts where this one ends.
        cursor = AuditRollupCursor.objects.select_for_update().get(organization_id=org_id)
        last = AuditSeal.objects.filter(organization_id=org_id, seq__lte=cursor.seq + limit).order_by("-seq").first()
        counted = max(0, last.seq - cursor.seq) if last else 0
        if last and counted:
            _add(org_id, _buckets(org_id, after=cursor.seq, upto=last.seq), now)
            cursor.seq = last.seq
        cursor.aggregated_at = now
        cursor.save(update_fields=["seq", "aggregated_at"])
        transaction.on_commit(lambda: failpoint("cloud.audit_rollup.after_commit"))
        failpoint("cloud.audit_rollup.before_commit")
    return counted


def _buckets(org_id: UUID, *, after: int, upto: int) -> Counter[Bucket]:
    buckets: Counter[Bucket] = Counter()
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"org": org_id, "after": after, "upto": upto})
        for hour, event_type, outcome, count in cursor.fetchall():
            start = hour.replace(tzinfo=UTC)
            buckets[(RollupPeriod.HOUR, start, event_type, outcome)] += count
            buckets[(RollupPeriod.DAY, start.replace(hour=0), event_type, outcome)] += count
    return buckets


def _add(org_id: UUID, buckets: Counter[Bucket], now: datetime) -> None:
    with connection.cursor() as cursor:
        for (period, start, event_type, outcome), count in sorted(buckets.items()):
            cursor.execute(_ADD, [ids.new_uuid7(), org_id, period, start, event_type, outcome, count, now])
