"""Forgetting what calls said: what was asked and what was answered goes, that it was asked and how it went stays.

Never before nobody may be told it again: a key is remembered for a published time, and its call may have waited in the
queue before. Deliberately keeps the rows, which are the action log. Callers open the organization's scope. Called by
`cloud.schedules.retention`. Tests: tests/integration/cloud/schedules/test_retention.py.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from cloud.audit import services as audit
from cloud.dispatch import acceptance, lifecycle
from cloud.dispatch.models import HAS_CONTENT, OperationCall
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import limits

BATCH = 1_000
AGE_MIN = timedelta(seconds=limits.IDEMPOTENCY_S + acceptance.ASYNC_DEADLINE_S)
"""How long what a call said is kept at least."""


def calls_empty(org_id: UUID, *, before: datetime, limit: int = BATCH) -> int:
    """Empty ended calls that were accepted before that, at most `limit`, oldest first; how many. Repeat until 0.

    Raises ValueError for a `before` that is less than AGE_MIN ago."""
    if datetime.now(UTC) - before < AGE_MIN:
        raise ValueError(f"What calls say is kept for at least {AGE_MIN.total_seconds() / 3600:.0f} hours.")
    with recorded("call_empty"):
        over = OperationCall.objects.filter(HAS_CONTENT, organization_id=org_id, accepted_at__lt=before)
        over = over.exclude(state__in=lifecycle.OPEN).order_by("accepted_at")
        found = list(over.select_for_update(skip_locked=True).values_list("id", flat=True)[:limit])
        if not found:
            return 0
        emptied = OperationCall.objects.filter(id__in=found).update(request="", answer="")
        audit.retention_tell(org_id, target_kind="call", count=emptied, before=before)
    return emptied
