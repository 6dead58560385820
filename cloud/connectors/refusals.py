"""Links that were refused, told to the organization of the machine that was named: one it shut out, or somebody else.

Once a minute each machine, for whoever dials may dial as often as they like, and from wherever. Called by the relay,
through its ports, with no scope open. Tests: tests/integration/cloud/connectors/test_refusals.py.
"""

from uuid import UUID

from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.audit.models import Outcome
from cloud.audit.told_once import ToldOnce
from cloud.connectors.models import Connector
from cloud.tenancy import scope
from cloud.tenancy.models import Status
from cloud.tenancy.transaction import recorded

_told = ToldOnce()


def link_refused(connector_id: UUID, *, remote_address: str | None) -> None:
    """Tell that somebody who said to be this connector was not let in; nobody is told of one that never was."""
    with scope.operator(), recorded("link_refuse"):
        connector = Connector.objects.filter(id=connector_id).first()
        # Not by address: who dials may have as many as they like. And only of those that are, so that made-up names
        # do not make the others be told again.
        if connector is None or not _told.is_news(connector.id):
            return
        audit.event_record(
            event_type=EventType.LINK_REFUSED,
            # Who dialled has not shown to be that machine.
            principal=None,
            organization_id=connector.organization_id,
            target_kind="connector",
            target_id=connector.id,
            outcome=Outcome.ERROR,
            client_address=remote_address,
            details={"label": connector.label, "because": _because(connector)},
        )


def _because(connector: Connector) -> str:
    if connector.released_at is not None:
        return "released"
    return "disabled" if connector.status != Status.ACTIVE else "unproven"
