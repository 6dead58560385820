"""What connected machines offer, naming them, and shutting one out. (Coming to an organization:
`enrollment.py`; leaving and moving: `claims.py`; links: `links.py`.)

An advertisement is the whole set: what is missing from it is not shared any more, and nothing is ever deleted.
Tests: tests/integration/cloud/connectors/test_services.py.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from cloud.access.principals import Grant
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.connectors import reach
from cloud.connectors.actors import ConnectorActor
from cloud.connectors.models import Claim, Connector, Instance, Location
from cloud.tenancy import grants, revocations, scope, units
from cloud.tenancy.models import Status
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import envelopes, errors
from local_daemon.protocol.scopes import Scope


def advertise_apply(*, connector_id: UUID, epoch: int, advertised: envelopes.Advertise) -> list[Location]:
    """Make the connector's locations what it shares now; those that serve a project, oldest first.

    Call it with no scope open. Raises PreconditionFailed for an epoch that is not the live link's, NotFound."""
    with scope.operator():
        owner = Connector.objects.filter(id=connector_id).values_list("organization_id", flat=True).first()
    if owner is None:
        raise errors.NotFound
    with scope.organization(owner), recorded("advertise_apply"):
        # Locked: advertisements of one connector are applied one after the other.
        connector = Connector.objects.select_for_update().get(id=connector_id)
        if connector.link_epoch != epoch:
            raise errors.PreconditionFailed("A newer link of this connector speaks now.")
        claim = Claim.objects.filter(connector=connector).first()
        if claim is None:
            raise errors.NotFound("This connector was released; register it again.")
        now = datetime.now(UTC)
        instance = _instance_note(connector, advertised, now)
        project_id = instance.project_id or claim.project_id
        before = {
            (row.instance_id, row.repository_id): row for row in Location.objects.filter(instance__connector=connector)
        }
        shared = [
            _location_note(before.pop((instance.id, offer.repository_id), None), instance, project_id, offer, now)
            for offer in advertised.repositories
        ]
        _tell(connector, [row for row, is_news in shared if is_news], EventType.LOCATION_SHARED)
        withdrawn = [row for row in before.values() if row.is_shared]
        Location.objects.filter(id__in=[row.id for row in withdrawn]).update(is_shared=False)
        _tell(connector, withdrawn, EventType.LOCATION_UNSHARED)
    return sorted((row for row, _ in shared if row.project_id is not None), key=lambda row: row.id)


@grants.needs(Scope.CONNECTORS_WRITE)
def connector_rename(*, grant: Grant, connector_id: UUID, label: str, expected_version: int | None) -> Connector:
    """Call a machine something else. Raises NotFound, PreconditionFailed, InvalidRequest."""
    kept = units.name_checked(label)
    with recorded("connector_change"):
        connector = _locked(grant, connector_id, expected_version)
        if connector.label != kept:
            before, connector.label = connector.label, kept
            _save(connector, grant, EventType.CONNECTOR_UPDATED, ["label"], {"label": [before, kept]})
    return connector


@grants.needs(Scope.CONNECTORS_WRITE)
def connector_disable(*, grant: Grant, connector_id: UUID, expected_version: int | None = None) -> Connector:
    """Shut a connector out: its link ends, and is refused from now on. Raises NotFound, PreconditionFailed."""
    return _status_set(grant, connector_id, Status.DISABLED, expected_version)


@grants.needs(Scope.CONNECTORS_WRITE)
def connector_enable(*, grant: Grant, connector_id: UUID, expected_version: int | None = None) -> Connector:
    """Let a connector in again. Raises NotFound, PreconditionFailed."""
    return _status_set(grant, connector_id, Status.ACTIVE, expected_version)


def _status_set(grant: Grant, connector_id: UUID, status: Status, expected_version: int | None) -> Connector:
    with recorded("connector_status_set"):
        connector = _locked(grant, connector_id, expected_version)
        if connector.status != status:
            connector.status = status
            is_out = status is Status.DISABLED
            event_type = EventType.CONNECTOR_DISABLED if is_out else EventType.CONNECTOR_ENABLED
            _save(connector, grant, event_type, ["status"], {})
            if is_out:
                revocations.revocation_tell(revocations.Revoked.CONNECTOR, connector.id)
    return connector


def _locked(grant: Grant, connector_id: UUID, expected_version: int | None) -> Connector:
    return units.row_lock(reach.connectors_held(grant), connector_id, expected_version=expected_version)


def _save(
    connector: Connector, grant: Grant, event_type: EventType, fields: list[str], details: dict[str, object]
) -> None:
    connector.version += 1
    connector.save(update_fields=[*fields, "version"])
    audit.event_record(
        event_type=event_type,
        principal=grant.principal,
        target_kind="connector",
        target_id=connector.id,
        details=details,
    )


def _instance_note(connector: Connector, advertised: envelopes.Advertise, now: datetime) -> Instance:
    facts = {
        "label": advertised.hostname,
        "version": advertised.instance_version,
        "executors": list(advertised.executors),
        "last_advertised_at": now,
        "missing_since": None,
    }
    # Remembered, with its locations: what it ran is on record.
    others = Instance.objects.filter(connector=connector, missing_since=None)
    others.exclude(instance_id=advertised.instance_id).update(missing_since=now)
    instance, _ = Instance.objects.update_or_create(
        connector=connector,
        instance_id=advertised.instance_id,
        defaults=facts,
        create_defaults={**facts, "organization_id": connector.organization_id},
    )
    return instance


def _location_note(
    row: Location | None, instance: Instance, project_id: UUID | None, offer: envelopes.RepositoryAdvert, now: datetime
) -> tuple[Location, bool]:
    """The location of an offered repository, and whether its being shared is news."""
    if row is None:
        created = Location.objects.create(
            organization_id=instance.organization_id,
            project_id=project_id,
            instance=instance,
            repository_id=offer.repository_id,
            repository_label=offer.label,
            last_advertised_at=now,
        )
        return created, True
    is_news = not row.is_shared
    row.repository_label, row.is_shared, row.last_advertised_at = offer.label, True, now
    row.save(update_fields=["repository_label", "is_shared", "last_advertised_at"])
    return row, is_news


def _tell(connector: Connector, rows: Iterable[Location], event_type: EventType) -> None:
    for row in rows:
        audit.event_record(
            event_type=event_type,
            principal=ConnectorActor.of(connector),
            target_kind="location",
            target_id=row.id,
            project_id=row.project_id,
            details={"repository_id": row.repository_id, "label": row.repository_label},
        )
