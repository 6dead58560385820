"""What was used: bytes of artifacts as they are handed out, cost as the machines' events report it.

What a token used is its own amount, and counts against each token of its line (`cloud.access.lines`). Cost is read from
the organization's feed, forward from a cursor that moves in the same transaction: counted once, however many processes
count. Callers open the organization's scope. Tests: tests/integration/cloud/limits/test_usage.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection

from cloud.limits import allowances
from cloud.limits.models import UsageCursor, UsageKind
from cloud.tenancy.transaction import execute_later, recorded

# Rows in the order of their tokens, so that two who add at once wait for each other and not in a circle.
_SUM_UP = """
    ON CONFLICT (organization_id, kind, day, token_id)
    DO UPDATE SET amount = u.amount + excluded.amount, counted = COALESCE(u.counted, u.amount) + excluded.counted
"""
_ADD = f"""
    INSERT INTO limits_usage AS u (id, organization_id, token_id, kind, day, amount, counted)
    SELECT gen_random_uuid(), %s, part.token_id, %s, %s, sum(part.amount), sum(part.counted)
      FROM (SELECT %s::uuid AS token_id, %s::bigint AS amount, 0::bigint AS counted
             UNION ALL
            SELECT DISTINCT subject, 0, %s::bigint FROM access_token_line(%s)) AS part
     GROUP BY part.token_id ORDER BY part.token_id
    {_SUM_UP}
"""  # noqa: S608 - constants

_CURSOR = "INSERT INTO limits_usagecursor (organization_id, event_id) VALUES (%s, 0) ON CONFLICT DO NOTHING"
_LOCK = "SELECT event_id FROM limits_usagecursor WHERE organization_id = %s FOR UPDATE"
# An attempt is recorded once, and its event then says what it cost. A number beyond reason counts as nothing.
_FOLD = f"""
    WITH news AS (
        SELECT e.id, e.event_type, e.at, e.run_id, e.record #> '{{data,attempt}}' AS attempt
          FROM runs_runevent e WHERE e.organization_id = %(organization)s AND e.id > %(after)s ORDER BY e.id LIMIT 10000
    ), costs AS (
        SELECT s.token_id, s.line, (n.at AT TIME ZONE 'UTC')::date AS day,
               sum(round((n.attempt #>> '{{usage,cost_usd}}')::numeric * 1000000)) AS amount
          FROM news n
          LEFT JOIN LATERAL (SELECT token_id, COALESCE(line, ARRAY[token_id]) AS line
                               FROM limits_runstart s WHERE s.organization_id = %(organization)s
                             AND s.run_id = n.run_id AND s.run_id <> '' ORDER BY s.call_id LIMIT 1) s ON true
         WHERE n.event_type = 'attempt.changed' AND n.attempt ->> 'state' = 'recorded'
           AND jsonb_typeof(n.attempt #> '{{usage,cost_usd}}') = 'number'
           AND (n.attempt #>> '{{usage,cost_usd}}')::numeric BETWEEN 0 AND 1000000
         GROUP BY 1, 2, 3
    ), added AS (
        INSERT INTO limits_usage AS u (id, organization_id, token_id, kind, day, amount, counted)
        SELECT gen_random_uuid(), %(organization)s, part.token_id, 'cost_micros', part.day,
               sum(part.amount), sum(part.counted)
          FROM (SELECT token_id, day, amount, 0 AS counted FROM costs
                 UNION ALL
                SELECT subject, day, 0, amount FROM costs, unnest(line) AS subject) AS part
         GROUP BY part.token_id, part.day ORDER BY part.token_id, part.day
        {_SUM_UP}
    ), moved AS (
        UPDATE limits_usagecursor SET event_id = (SELECT max(id) FROM news)
         WHERE organization_id = %(organization)s AND EXISTS (SELECT 1 FROM news)
    )
    SELECT count(*) FROM news
"""  # noqa: S608 - constants
_FOLD_EVENTS = 10_000

# All that was used, in the row that sums up; and what counts against each of the subjects.
_SUMS = """
    SELECT GROUPING(token_id) = 1, token_id,
           COALESCE(sum(amount) FILTER (WHERE is_today), 0)::bigint,
           COALESCE(sum(amount) FILTER (WHERE kind = 'cost_micros'), 0)::bigint,
           COALESCE(sum(counted) FILTER (WHERE is_today), 0)::bigint,
           COALESCE(sum(counted) FILTER (WHERE kind = 'cost_micros'), 0)::bigint
      FROM (SELECT kind, token_id, amount, COALESCE(counted, amount) AS counted,
                   kind = 'artifact_bytes' AND day = %(day)s AS is_today
              FROM limits_usage WHERE organization_id = %(organization)s AND day >= %(month)s) AS month
     GROUP BY GROUPING SETS ((token_id), ())
    HAVING GROUPING(token_id) = 1 OR token_id = ANY(%(subjects)s::uuid[])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a subject used of what is counted by the day and by the month."""

    artifact_bytes_today: int = 0
    cost_micros_this_month: int = 0


def artifact_bytes_add(*, organization_id: UUID, token_id: UUID | None, size_bytes: int, now: datetime) -> None:
    """Count content handed out, with the open transaction's commit."""
    day = now.astimezone(UTC).date()
    kind = UsageKind.ARTIFACT_BYTES.value
    execute_later(_ADD, [organization_id, kind, day, token_id, size_bytes, size_bytes, token_id])


def cost_fold(organization_id: UUID) -> int:
    """Count the cost in every event that was not counted yet; how many events were looked at."""
    total = 0
    while True:
        with recorded("usage_fold"), connection.cursor() as cursor:
            execute_later(_CURSOR, [organization_id])
            cursor.execute(_LOCK, [organization_id])
            after = cursor.fetchone()[0]
            cursor.execute(_FOLD, {"organization": organization_id, "after": after})
            seen: int = cursor.fetchone()[0]
        total += seen
        if seen < _FOLD_EVENTS:
            return total


def cost_folded_through(organization_id: UUID) -> int:
    """The last event whose cost is counted."""
    counted = UsageCursor.objects.filter(organization_id=organization_id)
    return counted.values_list("event_id", flat=True).first() or 0


def used_by(*, organization_id: UUID, subjects: Iterable[UUID] = (), now: datetime) -> dict[UUID | None, Used]:
    """What the organization as a whole used (None), and what counts against each of the subjects."""
    wanted = list(subjects)
    facts: dict[str, Any] = {
        "organization": organization_id,
        "subjects": wanted,
        "day": allowances.day_of(now).date(),
        "month": allowances.month_of(now).date(),
    }
    found: dict[UUID | None, Used] = dict.fromkeys(wanted, Used())
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, facts)
        for is_all, subject, bytes_all, cost_all, bytes_counted, cost_counted in cursor.fetchall():
            if is_all:
                found[None] = Used(artifact_bytes_today=bytes_all, cost_micros_this_month=cost_all)
            else:
                found[subject] = Used(artifact_bytes_today=bytes_counted, cost_micros_this_month=cost_counted)
    return found
