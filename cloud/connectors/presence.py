"""When machines were connected: reading that history, and keeping it short.

The database writes it (a trigger, migration 0003). Tests: tests/integration/cloud/connectors/test_presence.py.
"""

from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef

from cloud.access.principals import Grant
from cloud.audit import services as audit
from cloud.connectors import reach
from cloud.connectors.models import Presence
from cloud.tenancy import grants
from cloud.tenancy.pages import PAGE_MAX
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

BATCH = 5_000


@grants.needs(Scope.CONNECTORS_READ)
def presence_page(*, grant: Grant, connector_id: UUID, limit: int = 50, before: int | None = None) -> list[Presence]:
    """A connector's changes of presence, newest first, before the row `before`. Raises NotFound."""
    if not reach.connectors_seen(grant).filter(id=connector_id).exists():
        raise errors.NotFound
    rows = Presence.objects.filter(connector_id=connector_id)
    if before is not None:
        rows = rows.filter(id__lt=before)
    return list(rows.order_by("-id")[: max(1, min(limit, PAGE_MAX))])


def presence_prune(org_id: UUID, *, before: datetime, limit: int = BATCH) -> int:
    """Forget an organization's changes from before that, at most `limit`, but never a connector's last one; how many.
    Repeat until 0. For the worker: its caller opens the organization's scope."""
    with recorded("presence_prune"):
        newer = Presence.objects.filter(connector_id=OuterRef("connector_id"), id__gt=OuterRef("id"))
        old = Presence.objects.filter(Exists(newer), organization_id=org_id, at__lt=before).order_by("id")
        found = list(old.values_list("id", flat=True)[:limit])
        if not found:
            return 0
        count, _ = Presence.objects.filter(id__in=found).delete()
        audit.retention_tell(org_id, target_kind="presence", count=count, before=before)
    return count
