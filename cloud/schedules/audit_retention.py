"""Daily: prune audit events that are older than the installation keeps them; nothing where it says nothing.

Tests: tests/integration/cloud/schedules/test_tasks.py.
"""

from datetime import UTC, datetime, timedelta

from django.conf import settings

from cloud.audit import pruning, seal
from cloud.tenancy import scope, selectors


def run() -> int:
    """Prune organization by organization, batch by batch; how many events went."""
    days = settings.AUDIT_RETENTION_DAYS
    if not days:
        return 0
    pruned, before = 0, datetime.now(UTC) - timedelta(days=days)
    for org_id in selectors.organization_ids():
        with scope.organization(org_id):
            while batch := pruning.events_prune(org_id, before=before):
                pruned += batch
            seal.organization_seal_all(org_id)
    return pruned
