"""When machines were connected: reading that history, and keeping it short.

The database writes it (a trigger, migration 0003). Tests: tests/integration/cloud/connectors/test_presence.py.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef

from cloud.access.principals import Grant
from cloud.connectors import reach
from cloud.connectors.models import Presence
from cloud.tenancy import grants, scope
from cloud.tenancy.pages import PAGE_MAX
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

RETENTION = timedelta(days=90)


@grants.needs(Scope.CONNECTORS_READ)
def presence_page(*, grant: Grant, connector_id: UUID, limit: int = 50, before: int | None = None) -> list[Presence]:
    """A connector's changes of presence, newest first, before the row `before`. Raises NotFound."""
    if not reach.connectors_seen(grant).filter(id=connector_id).exists():
        raise errors.NotFound
    rows = Presence.objects.filter(connector_id=connector_id)
    if before is not None:
        rows = rows.filter(id__lt=before)
    return list(rows.order_by("-id")[: max(1, min(limit, PAGE_MAX))])


def presence_prune(*, now: datetime, retention: timedelta = RETENTION) -> int:
    """Forget changes that are older than `retention`, but never a connector's last one; how many. For the worker: opens
    the operator's scope."""
    with scope.operator(), recorded("connector_change"):
        newer = Presence.objects.filter(connector_id=OuterRef("connector_id"), id__gt=OuterRef("id"))
        old = Presence.objects.filter(Exists(newer), at__lt=now - retention)
        count, _ = old.delete()
    return count
