"""Daily: prune audit events that are older than the installation keeps them; nothing where it says nothing.

Also those of organizations that are gone, which nobody counts any more. Tests:
tests/integration/cloud/schedules/test_audit_retention.py.
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
    existing = set(selectors.organization_ids())
    for org_id in selectors.audited_ids():
        with scope.organization(org_id):
            while batch := pruning.events_prune(org_id, before=before, is_counted=org_id in existing):
                pruned += batch
            seal.organization_seal_all(org_id)
    return pruned
