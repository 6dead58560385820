"""Reading the audit, in the open tenant scope; pages of a million events cost what pages of ten do.

Ids grow with time, so pages go by id, each filter has an index that ends with it, and a stretch of time is a stretch of
ids. Called by the admin, REST and MCP. Tests: tests/integration/cloud/audit/test_selectors.py.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet, Sum

from cloud.audit.installation import INSTALLATION
from cloud.audit.models import (
    AuditCheckpoint,
    AuditEvent,
    AuditPruning,
    AuditRollup,
    AuditRollupCursor,
    AuditSeal,
    Outcome,
    RollupPeriod,
)

CHART_POINTS_MAX = 24 * 31

# What was told before is found by the complete pass at each process's start, and by the hourly count.
_LOOKED_BACK = timedelta(minutes=2)
_SEALING = timedelta(seconds=5)
# The offset of both keeps the planner to one look into the index an event; it would read every seal there is otherwise.
_UNSEALED = """
    SELECT DISTINCT e.organization_id FROM audit_auditevent e
     WHERE e.id >= %s AND e.id < %s AND NOT EXISTS (SELECT FROM audit_auditseal s WHERE s.event_id = e.id OFFSET 0)
"""
_WAITING = """
    SELECT count(*), min(e.at) FROM audit_auditevent e
     WHERE e.organization_id = %s AND e.transaction_id >= %s
       AND NOT EXISTS (SELECT FROM audit_auditseal s WHERE s.event_id = e.id OFFSET 0)
"""

# Between the last link before the moment and the first from it on; twenty looks into the index for a million links. A
# link that was taken away counts as one before: the list begins too late rather than never.
_FIRST_SINCE = """
    WITH RECURSIVE bounds(before, since) AS (
        SELECT COALESCE((SELECT seq - 1 FROM audit_auditseal WHERE organization_id = %(org)s ORDER BY seq LIMIT 1), 0),
               COALESCE((SELECT seq FROM audit_auditseal WHERE organization_id = %(org)s ORDER BY seq DESC LIMIT 1), 0)
                   + 1
        UNION ALL
        SELECT CASE WHEN is_since THEN before ELSE middle END, CASE WHEN is_since THEN middle ELSE since END
          FROM (SELECT before, since, (before + since) / 2 AS middle,
                       (SELECT sealed_at >= %(moment)s FROM audit_auditseal
                         WHERE organization_id = %(org)s AND seq = (before + since) / 2) AS is_since
                  FROM bounds WHERE since - before > 1 OFFSET 0) halves
    )
    SELECT min(since) FROM bounds
"""

# One look into the index a chain, however long they are.
_CHAINS = """
    WITH RECURSIVE chain(id) AS (
        (SELECT organization_id FROM audit_auditseal ORDER BY organization_id LIMIT 1)
        UNION ALL
        SELECT (SELECT s.organization_id FROM audit_auditseal s
                 WHERE s.organization_id > chain.id ORDER BY s.organization_id LIMIT 1)
          FROM chain WHERE chain.id IS NOT NULL
    )
    SELECT id FROM chain WHERE id IS NOT NULL
"""

# A few looks into indexes a chain. The name that an organization began with is told with its beginning.
_HEADS = """
    SELECT c.id, s.seq, s.sealed_at, k.seq, k.signed_at, p.seq, e.slug
      FROM unnest(%s::uuid[]) WITH ORDINALITY AS c(id, n)
      LEFT JOIN LATERAL (SELECT seq, sealed_at FROM audit_auditseal
                          WHERE organization_id = c.id ORDER BY seq DESC LIMIT 1) s ON true
      LEFT JOIN LATERAL (SELECT seq, signed_at FROM audit_auditcheckpoint
                          WHERE organization_id = c.id ORDER BY seq DESC LIMIT 1) k ON true
      LEFT JOIN LATERAL (SELECT seq FROM audit_auditpruning
                          WHERE organization_id = c.id ORDER BY seq DESC LIMIT 1) p ON true
      LEFT JOIN LATERAL (SELECT details->>'slug' AS slug FROM audit_auditevent
                          WHERE organization_id = c.id AND event_type = 'organization:created' LIMIT 1) e ON true
     ORDER BY c.n
"""

_LENGTH = {RollupPeriod.HOUR: timedelta(hours=1), RollupPeriod.DAY: timedelta(days=1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events are asked for; what is None is not asked. `failed_only`: those whose outcome is not ok."""

    event_type: str | None = None
    actor_id: str | None = None
    target_id: str | None = None
    call_id: str | None = None
    project_ids: Collection[UUID] | None = None
    failed_only: bool = False
    since: datetime | None = None
    until: datetime | None = None


def events(org_id: UUID, asked: EventFilter) -> QuerySet[AuditEvent]:
    """The organization's events that fit, newest first."""
    found = AuditEvent.objects.filter(organization_id=org_id)
    exact = {
        name: value
        for name in ("event_type", "actor_id", "target_id", "call_id")
        if (value := getattr(asked, name)) is not None
    }
    found = found.filter(**exact)
    if asked.project_ids is not None:
        found = found.filter(project_id__in=asked.project_ids)
    if asked.failed_only:
        found = found.exclude(outcome=Outcome.OK)
    if asked.since is not None:
        found = found.filter(id__gte=first_id_at(asked.since))
    if asked.until is not None:
        found = found.filter(id__lt=first_id_at(asked.until))
    return found.order_by("-id")


def event_page(
    org_id: UUID,
    *,
    limit: int,
    before: UUID | None = None,
    project_ids: Collection[UUID] | None = None,
    event_type: str | None = None,
    asked: EventFilter | None = None,
) -> list[AuditEvent]:
    """Events that fit, newest first, older than the event `before`. `project_ids` and `event_type` alone spare a
    filter."""
    found = events(org_id, asked or EventFilter(project_ids=project_ids, event_type=event_type))
    if before is not None:
        found = found.filter(id__lt=before)
    return list(found[:limit])


def first_id_at(moment: datetime) -> UUID:
    """The smallest id that a row made at this moment can have."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return UUID(int=(milliseconds & ((1 << 48) - 1)) << 80)


def first_seq_since(org_id: UUID, moment: datetime) -> int:
    """The number of the first link of the organization's chain that was sealed from that moment on, or would be next.

    Links have no index by time, but numbers without a gap that grow with it: half of them are ruled out at each look.
    """
    with connection.cursor() as cursor:
        cursor.execute(_FIRST_SINCE, {"org": org_id, "moment": moment})
        return int(cursor.fetchone()[0])


def organizations_unsealed(*, now: datetime) -> list[UUID]:
    """Organizations with an event that has waited to be sealed for seconds, of the last minutes; in the operator's
    scope. Empty while another process looks."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended('ropeway-audit-unsealed', 0))")
        if not cursor.fetchone()[0]:
            return []
        cursor.execute(_UNSEALED, [first_id_at(now - _LOOKED_BACK), first_id_at(now - _SEALING)])
        return [org_id for (org_id,) in cursor.fetchall()]


def chain_ids() -> list[UUID]:
    """Whose chains there are, those of organizations that are gone included, and the installation's from its first
    event on; in the operator's scope."""
    with connection.cursor() as cursor:
        cursor.execute(_CHAINS)
        found = [org_id for (org_id,) in cursor.fetchall()]
    if INSTALLATION not in found and AuditEvent.objects.filter(organization_id=INSTALLATION).exists():
        found.append(INSTALLATION)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainHead:
    """Where a chain ends, what of it is signed, and up to where it was pruned. `slug`: what its organization was called
    at first; None for the installation's, and where that was pruned."""

    id: UUID
    seq: int
    sealed_at: datetime | None
    signed_seq: int | None
    signed_at: datetime | None
    pruned_seq: int
    slug: str | None


def chain_heads(chains: Collection[UUID]) -> list[ChainHead]:
    """The heads of some chains, in that order; one query, however long they are. In the operator's scope."""
    with connection.cursor() as cursor:
        cursor.execute(_HEADS, [list(chains)])
        found = cursor.fetchall()
    return [
        ChainHead(
            id=chain_id,
            seq=seq or pruned_seq or 0,
            sealed_at=sealed_at,
            signed_seq=signed_seq,
            signed_at=signed_at,
            pruned_seq=pruned_seq or 0,
            slug=slug,
        )
        for chain_id, seq, sealed_at, signed_seq, signed_at, pruned_seq, slug in found
    ]


def checkpoint_last(org_id: UUID) -> AuditCheckpoint | None:
    """The newest signed head of the chain."""
    return AuditCheckpoint.objects.filter(organization_id=org_id).order_by("-seq").first()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainState:
    """How far an organization's chain goes; nothing of it is checked. `links`: how many there are to walk."""

    head_seq: int
    head_hash: str | None
    sealed_at: datetime | None
    links: int
    unsealed: int
    oldest_unsealed_at: datetime | None


def chain_state(org_id: UUID) -> ChainState:
    """The chain's head, and what waits to be sealed; three queries, however long it is."""
    head = AuditSeal.objects.filter(organization_id=org_id).order_by("-seq").first()
    pruned = AuditPruning.objects.filter(organization_id=org_id).order_by("-seq").values_list("seq", flat=True).first()
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [org_id, head.horizon if head else 0])
        unsealed, oldest = cursor.fetchone()
    head_seq = head.seq if head else pruned or 0
    return ChainState(
        head_seq=head_seq,
        head_hash=bytes(head.hash).hex() if head else None,
        sealed_at=head.sealed_at if head else None,
        links=head_seq - (pruned or 0),
        unsealed=unsealed,
        oldest_unsealed_at=oldest,
    )


def rollup_page(
    org_id: UUID, *, period: RollupPeriod, limit: int, time_zone: str = "UTC"
) -> tuple[list[AuditRollup], datetime | None]:
    """The newest buckets of one period, and when they were last counted. A day is one of the zone's, to the hour."""
    if period is RollupPeriod.DAY and time_zone != "UTC":
        return _days(org_id, limit, time_zone), counted_at(org_id)
    rollups = AuditRollup.objects.filter(organization_id=org_id, period=period)
    return list(rollups.order_by("-bucket_start", "event_type", "outcome")[:limit]), counted_at(org_id)


# So many hours hold `limit` rows of days and the day that is cut off, which comes last.
_DAYS = """
    SELECT date_trunc('day', bucket_start, %(zone)s) AS day, event_type, outcome, sum(count)::bigint
      FROM (SELECT bucket_start, event_type, outcome, count FROM audit_auditrollup
             WHERE organization_id = %(org)s AND period = 'hour' ORDER BY bucket_start DESC LIMIT %(hours)s) AS hours
     GROUP BY day, event_type, outcome
     ORDER BY day DESC, event_type, outcome LIMIT %(limit)s
"""


def _days(org_id: UUID, limit: int, time_zone: str) -> list[AuditRollup]:
    """Of rows that are not kept: days elsewhere than in UTC are summed up from hours."""
    with connection.cursor() as cursor:
        cursor.execute(_DAYS, {"org": org_id, "zone": time_zone, "hours": limit * 25 + 5000, "limit": limit})
        found = cursor.fetchall()
    return [
        AuditRollup(
            organization_id=org_id, period=RollupPeriod.DAY, bucket_start=day, event_type=word, outcome=outcome, count=n
        )
        for day, word, outcome, n in found
    ]


def counted_at(org_id: UUID) -> datetime | None:
    """When the organization's events were last counted; None: never."""
    return AuditRollupCursor.objects.filter(organization_id=org_id).values_list("aggregated_at", flat=True).first()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartPoint:
    """How much happened in one bucket of time."""

    bucket_start: datetime
    ok: int
    error: int
    unknown: int


def rollup_chart(
    org_id: UUID,
    *,
    period: RollupPeriod,
    since: datetime,
    until: datetime,
    event_types: Sequence[str] | None = None,
) -> list[ChartPoint]:
    """Counts by bucket from `since` to before `until`, oldest first, quiet buckets included; of some types or all.

    Raises ValueError for more than CHART_POINTS_MAX buckets."""
    step, start = _LENGTH[period], _bucket_of(since, period)
    if (until - start) / step > CHART_POINTS_MAX:
        raise ValueError(f"A chart has at most {CHART_POINTS_MAX} points.")
    rows = AuditRollup.objects.filter(
        organization_id=org_id, period=period, bucket_start__gte=start, bucket_start__lt=until
    )
    if event_types is not None:
        rows = rows.filter(event_type__in=event_types)
    counts = {
        (row["bucket_start"], row["outcome"]): row["n"]
        for row in rows.values("bucket_start", "outcome").annotate(n=Sum("count"))
    }
    points = []
    while start < until:
        numbers = {outcome.value: counts.get((start, outcome.value), 0) for outcome in Outcome}
        points.append(ChartPoint(bucket_start=start, **numbers))
        start += step
    return points


def rollup_totals(org_id: UUID, *, since: datetime, until: datetime) -> list[tuple[str, str, int]]:
    """(event type, outcome, count) over whole UTC days, the most frequent first."""
    rows = AuditRollup.objects.filter(
        organization_id=org_id,
        period=RollupPeriod.DAY,
        bucket_start__gte=_bucket_of(since, RollupPeriod.DAY),
        bucket_start__lt=until,
    )
    totals = rows.values_list("event_type", "outcome").annotate(n=Sum("count")).order_by("-n", "event_type", "outcome")
    return [(event_type, outcome, n) for event_type, outcome, n in totals]


def _bucket_of(moment: datetime, period: RollupPeriod) -> datetime:
    start = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return start.replace(hour=0) if period is RollupPeriod.DAY else start
