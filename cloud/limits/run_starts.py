"""Who started which run, and whether they may start another: counted in the transaction that accepts the call.

A start counts from its call's acceptance until the run has ended as far as the cloud has heard, or the call failed;
after seven days no more, for its machine may be gone. Two calls at once queue on one lock, so the limit holds exactly.
Callers open the organization's scope. Called by dispatch. Tests: tests/integration/cloud/limits/test_run_starts.py.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from cloud.access.principals import Principal
from cloud.limits import standings
from cloud.tenancy.transaction import execute_later
from local_daemon.protocol import errors, ids
from local_daemon.protocol.operation import Operation

OPERATIONS = frozenset({"runs.create", "manifests.submit"})
"""Those that start a run, and answer with it."""
RETRY_AFTER_S = 10.0

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('limits.runs:' || %s, 0))"
_END = """
    UPDATE limits_runstart s SET is_over = true
      FROM runs_runsnapshot r
     WHERE s.organization_id = %s AND NOT s.is_over AND s.run_id <> ''
       AND r.organization_id = s.organization_id AND r.run_id = s.run_id
       AND r.state IN ('completed', 'failed', 'cancelled')
"""
_COUNT = """
    WITH under_way AS (
        SELECT COALESCE(line, ARRAY[token_id]) AS line FROM limits_runstart
         WHERE organization_id = %(organization)s AND NOT is_over AND call_id <> %(call)s
           AND (run_id <> '' OR expires_at > now()) AND started_at > now() - interval '7 days'
    )
    SELECT NULL, count(*) FROM under_way
     UNION ALL
    SELECT subject, (SELECT count(*) FROM under_way WHERE subject = ANY(line))
      FROM unnest(%(subjects)s::uuid[]) AS subject
"""
_START = """
    INSERT INTO limits_runstart (call_id, organization_id, token_id, line, run_id, started_at, expires_at, is_over)
    VALUES (%s, %s, %s, ARRAY(SELECT DISTINCT subject FROM access_token_line(%s)), '', %s, %s, false)
    ON CONFLICT (call_id) DO UPDATE SET expires_at = excluded.expires_at
"""
_NAME = "UPDATE limits_runstart SET run_id = %s WHERE call_id = %s"
_FORGET = "DELETE FROM limits_runstart WHERE call_id = %s"


def is_counted(principal: Principal, operation: Operation) -> bool:
    """Whether this call may be refused because of the runs under way."""
    return operation.name in OPERATIONS and standings.standing_of(principal).limits_runs


def run_start(*, principal: Principal, operation: Operation, call_id: str, now: datetime, expires_at: datetime) -> None:
    """Record that a call starts a run, if it does. Raises QuotaExceeded when no more may run at once."""
    if operation.name not in OPERATIONS:
        return
    token_id = principal.counted_token_id
    standing = standings.standing_of(principal)
    if standing.limits_runs:
        under_way = runs_counted(
            organization_id=principal.organization_id, subjects=standing.line, except_call=call_id, is_locked=True
        )
        for subject in standing.subjects:
            limit = subject.allowance.runs_at_once
            if limit is not None and under_way[subject.id] >= limit:
                raise errors.QuotaExceeded(
                    "As many runs as allowed are under way; let one end first.",
                    retry_after_s=RETRY_AFTER_S,
                    limit="runs_at_once",
                    allowed=limit,
                )
    execute_later(_START, [call_id, principal.organization_id, token_id, token_id, now, expires_at])


def runs_counted(
    *, organization_id: UUID, subjects: Iterable[UUID] = (), except_call: str = "", is_locked: bool = False
) -> dict[UUID | None, int]:
    """How many runs the organization has under way (None), and how many of them count against each of the subjects.
    `is_locked`: until the open transaction ends nobody else counts."""
    if is_locked:
        execute_later(_LOCK, [str(organization_id)])
    execute_later(_END, [organization_id])
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"organization": organization_id, "subjects": list(subjects), "call": except_call})
        return dict(cursor.fetchall())


def run_answered(*, call_id: str, body: Any) -> None:
    """The machine answered a call that started a run, with this body, or None when it failed."""
    run = body.get("run") if isinstance(body, dict) else None
    run_id = run.get("run_id") if isinstance(run, dict) else None
    # A name that was there already started nothing.
    is_new = isinstance(body, dict) and body.get("created") is True
    if is_new and isinstance(run_id, str) and ids.is_id(ids.IdPrefix.RUN, run_id):
        execute_later(_NAME, [run_id, call_id])
    else:
        execute_later(_FORGET, [call_id])
