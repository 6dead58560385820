"""Forgetting the feed: what happened to runs long ago. Their snapshots stay, and the machine's own log is untouched.

Callers open the organization's scope. Called by `cloud.schedules.retention`. Tests:
tests/integration/cloud/schedules/test_retention.py.
"""

from datetime import datetime
from uuid import UUID

from cloud.audit import services as audit
from cloud.runs.models import RunEvent
from cloud.tenancy.transaction import recorded

BATCH = 5_000


def feed_prune(org_id: UUID, *, before: datetime, through: int, limit: int = BATCH) -> int:
    """Of the `limit` events that came first, remove those that were taken in before that; how many. Repeat until 0.

    By the cloud's clock: a machine's own may be years ahead or behind. `through`: the last event that nobody has yet to
    read."""
    with recorded("feed_prune"):
        # The first to come are the oldest: looked at without looking at all.
        first = RunEvent.objects.filter(organization_id=org_id, id__lte=through).order_by("id")[:limit]
        old = [row_id for row_id, at in first.values_list("id", "taken_in_at") if at < before]
        if not old:
            return 0
        removed, _ = RunEvent.objects.filter(id__in=old).delete()
        audit.retention_tell(org_id, target_kind="run_event", count=removed, before=before)
    return removed
