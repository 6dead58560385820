"""What is only looked up when somebody scrapes: the audit's lag, the worker's beat, queues and pools.

Blocking; `probes` calls it in a database thread, seldom. Sums over all tenants, in the operator's scope; no name in it.
Tests: tests/integration/cloud/health/test_figures.py.
"""

import math

from django.db import connection, connections

from cloud.audit.installation import INSTALLATION
from cloud.health import worker
from cloud.metrics import registry
from cloud.tenancy import scope, threads

# For each organization, and the installation's own chain, the oldest event behind its chain's horizon that has no link:
# two index look-ups each.
_LAG = """
    SELECT COALESCE(EXTRACT(EPOCH FROM now() - min(oldest.at)), 0)::float8
      FROM (SELECT id FROM tenancy_organization UNION ALL SELECT %s::uuid) o
      LEFT JOIN LATERAL (SELECT s.horizon FROM audit_auditseal s WHERE s.organization_id = o.id
                          ORDER BY s.seq DESC LIMIT 1) head ON true
     CROSS JOIN LATERAL (SELECT e.at FROM audit_auditevent e
                          WHERE e.organization_id = o.id AND e.transaction_id >= COALESCE(head.horizon, 0)
                            AND NOT EXISTS (SELECT 1 FROM audit_auditseal s WHERE s.event_id = e.id)
                          ORDER BY e.transaction_id, e.id LIMIT 1) oldest
"""
_QUEUED = "SELECT count(*) FROM django_q_ormq"


def audit_lag_s() -> float:
    """The age of the oldest audit event of any tenant that is not sealed; 0 when all are."""
    with scope.operator(), connection.cursor() as cursor:
        cursor.execute(_LAG, [INSTALLATION])
        return max(0.0, float(cursor.fetchone()[0]))


def figures_look_up() -> None:
    """Bring the gauges up to date that nobody keeps up to date."""
    registry.AUDIT_LAG_SECONDS.set(audit_lag_s())
    age_s = worker.worker_beat_age_s()
    registry.WORKER_BEAT_SECONDS.set(math.inf if age_s is None else age_s)
    with scope.operator(), connection.cursor() as cursor:
        cursor.execute(_QUEUED)
        registry.TASKS_QUEUED.set(cursor.fetchone()[0])


def figures_of_process() -> None:
    """The same for what is in memory: threads, and the pool if there is one."""
    registry.DATABASE_THREADS.set(threads.THREADS)
    registry.DATABASE_QUEUE.set(threads.waiting())
    pool = getattr(connections["default"], "pool", None)
    if pool is not None:
        facts = pool.get_stats()
        registry.POOL_SIZE.set(facts.get("pool_size", 0))
        registry.POOL_FREE.set(facts.get("pool_available", 0))
        registry.POOL_WAITING.set(facts.get("requests_waiting", 0))
