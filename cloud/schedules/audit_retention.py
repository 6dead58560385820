"""Daily: prune audit events that are older than the installation keeps them; nothing where it says nothing.

Batch by batch, as `retention` does: organizations take turns (`turns`), so that who comes to none in a run is first in
the next, and one's trouble is logged and holds up no other. Also those of organizations that are gone, which nobody
counts any more. Tests: tests/integration/cloud/schedules/test_audit_retention.py.
"""

import logging
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from django.conf import settings

from cloud.audit import pruning, seal
from cloud.schedules import turns
from cloud.tenancy import scope, selectors

TASK = "audit retention"
"""As it is declared."""
LONGEST_S = 90.0
"""A run ends before the queue would take it for dead (its `timeout`); the next one goes on."""

logger = logging.getLogger(__name__)


def run() -> int:
    """Prune what is due; how many events went."""
    days = settings.AUDIT_RETENTION_DAYS
    if not days:
        return 0
    before, ends_at = datetime.now(UTC) - timedelta(days=days), time.monotonic() + LONGEST_S
    existing, pruned = set(selectors.organization_ids()), Counter[UUID]()
    takers = {
        str(org_id): partial(_turn, org_id, before, pruned, is_counted=org_id in existing)
        for org_id in selectors.audited_ids()
    }
    turns.turns_take(TASK, takers, ends_at=ends_at)
    return pruned.total()


def _turn(org_id: UUID, before: datetime, pruned: Counter[UUID], *, is_counted: bool) -> bool:
    """One batch of one organization, and what is told of it sealed; whether something went."""
    try:
        with scope.organization(org_id):
            gone = pruning.events_prune(org_id, before=before, is_counted=is_counted)
            seal.organization_seal_all(org_id)
    except Exception:
        # The next run comes back to it.
        logger.exception(
            "Pruning was interrupted", extra={"event": "audit_retention.interrupted", "organization_id": str(org_id)}
        )
        return False
    pruned[org_id] += gone
    return gone > 0
