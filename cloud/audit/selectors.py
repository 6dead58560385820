"""Reading the audit, in the open tenant scope. Tests: tests/integration/cloud/audit/test_selectors.py."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from cloud.audit.models import AuditEvent, AuditRollup, AuditRollupCursor, RollupPeriod


def event_page(
    org_id: UUID,
    *,
    limit: int,
    before: UUID | None = None,
    project_ids: Collection[UUID] | None = None,
    event_type: str | None = None,
) -> list[AuditEvent]:
    """The organization's events, newest first, older than the event `before`; those of some projects only."""
    events = AuditEvent.objects.filter(organization_id=org_id)
    if before is not None:
        events = events.filter(id__lt=before)
    if project_ids is not None:
        events = events.filter(project_id__in=project_ids)
    if event_type is not None:
        events = events.filter(event_type=event_type)
    return list(events.order_by("-id")[:limit])


def rollup_page(org_id: UUID, *, period: RollupPeriod, limit: int) -> tuple[list[AuditRollup], datetime | None]:
    """The newest buckets of one period, and when they were last counted."""
    rollups = AuditRollup.objects.filter(organization_id=org_id, period=period)
    counted_at = (
        AuditRollupCursor.objects.filter(organization_id=org_id).values_list("aggregated_at", flat=True).first()
    )
    return list(rollups.order_by("-bucket_start", "event_type", "outcome")[:limit]), counted_at
