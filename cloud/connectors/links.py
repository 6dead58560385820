"""Which link is a connector's live one. An epoch decides: the newest link wins, an older one has lost.

Called by the relay, through its ports, with no tenant scope open: each function finds the connector itself and opens
the scope it needs. Tests: tests/integration/cloud/connectors/test_links.py.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.db.models import F, QuerySet

from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.connectors.actors import ConnectorActor
from cloud.connectors.models import Connector
from cloud.tenancy import hints, scope
from cloud.tenancy.models import Status
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors

PRESENCE = "ropeway_presence"
"""The NOTIFY channel of machines that come and go; the payload is their organization."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkGrant:
    """That a connector may hold a link, as its `epoch`-th."""

    connector_id: UUID
    organization_id: UUID
    project_id: UUID | None
    label: str
    public_key: bytes
    epoch: int


def link_identify(connector_id: UUID) -> bytes:
    """The public key with which a connector must prove itself. Raises NotFound, also for a disabled one."""
    with scope.operator():
        key = _let_in(connector_id).values_list("public_key", flat=True).first()
    if key is None:
        raise errors.NotFound
    return bytes(key)


def link_open(
    *, connector_id: UUID, link_owner: str, link_channel: str = "", remote_address: str | None = None
) -> LinkGrant:
    """Make a proven connection the connector's live link. `link_owner` names this process. Raises NotFound."""
    now = datetime.now(UTC)
    with scope.operator(), recorded("link_open"):
        changed = _let_in(connector_id).update(
            link_epoch=F("link_epoch") + 1,
            link_owner=link_owner,
            link_channel=link_channel,
            link_opened_at=now,
            link_address=remote_address,
            last_seen_at=now,
        )
        if not changed:
            raise errors.NotFound
        connector = Connector.objects.prefetch_related("claims").get(id=connector_id)
        audit.event_record(
            event_type=EventType.LINK_OPENED,
            principal=ConnectorActor.of(connector),
            target_kind="connector",
            target_id=connector.id,
            client_address=remote_address,
            details={"epoch": connector.link_epoch},
        )
        _presence_tell(connector)
    claim = next(iter(connector.claims.all()), None)
    return LinkGrant(
        connector_id=connector.id,
        organization_id=connector.organization_id,
        project_id=claim.project_id if claim else None,
        label=connector.label,
        public_key=bytes(connector.public_key),
        epoch=connector.link_epoch,
    )


def link_heartbeat(connector_id: UUID, epoch: int) -> bool:
    """Note that the link lives. False: it is not the live one any more (a newer link, disabled, or put offline for its
    silence), so close it; its connector dials anew."""
    with scope.operator(), recorded("link_heartbeat"):
        live = _let_in(connector_id).filter(link_epoch=epoch).exclude(link_owner="")
        return live.update(last_seen_at=datetime.now(UTC)) == 1


def link_close(connector_id: UUID, epoch: int) -> bool:
    """Note that the link ended. False: it was not the live one, and nothing changed."""
    with scope.operator(), recorded("link_close"):
        live = Connector.objects.filter(id=connector_id, link_epoch=epoch).exclude(link_owner="")
        if not live.update(link_owner="", link_channel="", last_seen_at=datetime.now(UTC)):
            return False
        connector = Connector.objects.get(id=connector_id)
        audit.event_record(
            event_type=EventType.LINK_CLOSED,
            principal=ConnectorActor.of(connector),
            target_kind="connector",
            target_id=connector.id,
            details={"epoch": epoch},
        )
        _presence_tell(connector)
    return True


def _let_in(connector_id: UUID) -> QuerySet[Connector]:
    """The connector, where neither it nor its organization is disabled."""
    return Connector.objects.filter(id=connector_id, status=Status.ACTIVE, organization__status=Status.ACTIVE)


def _presence_tell(connector: Connector) -> None:
    hints.hint_tell(PRESENCE, str(connector.organization_id))
