"""Which project a daemon's repositories serve, one by one.

A location serves the project that its connector was claimed for, or that its instance is mapped to, unless somebody
maps it elsewhere. Whoever maps reaches the machine and the project. Callers open the organization's scope. Tests:
tests/integration/cloud/connectors/test_mapping.py.
"""

from uuid import UUID

from django.db.models import F, QuerySet

from cloud.access import authorization
from cloud.access.principals import Grant
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.connectors import reach
from cloud.connectors.models import Instance, Location
from cloud.tenancy import grants, revocations
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


@grants.needs(Scope.CONNECTORS_WRITE)
def instance_map(
    *, grant: Grant, instance_id: UUID, project_id: UUID | None, expected_version: int | None = None
) -> Instance:
    """Have a daemon's repositories go to this project, those that go nowhere yet and those to come; None: where its
    connector was claimed for. Raises NotFound, and PreconditionFailed when it was mapped since it was read as
    `expected_version`."""
    _check_project(grant, project_id)
    with recorded("connector_change"):
        rows = Instance.objects.select_for_update(of=("self",)).filter(connector__in=reach.connectors_held(grant))
        instance = rows.filter(id=instance_id).first()
        if instance is None:
            raise errors.NotFound
        _check_version(instance, expected_version)
        if instance.project_id == project_id:
            return instance
        before = _map(instance, project_id)
        if project_id is not None:
            locations_map(Location.objects.filter(instance=instance, project__isnull=True), project_id)
        _tell(grant, EventType.INSTANCE_MAPPED, "instance", instance, before)
        revocations.revocation_tell(revocations.Revoked.CONNECTOR, instance.connector_id)
    return instance


@grants.needs(Scope.CONNECTORS_WRITE)
def location_map(
    *, grant: Grant, location_id: UUID, project_id: UUID | None, expected_version: int | None = None
) -> Location:
    """Have one repository serve this project; None: none. Its link is renewed, so that its events begin anew.

    Raises NotFound for a location or project out of reach, and PreconditionFailed when it was mapped since it was read
    as `expected_version`."""
    _check_project(grant, project_id)
    with recorded("connector_change"):
        rows = Location.objects.select_for_update(of=("self",)).select_related("instance")
        location = rows.filter(instance__connector__in=reach.connectors_held(grant), id=location_id).first()
        if location is None:
            raise errors.NotFound
        _check_version(location, expected_version)
        if location.project_id == project_id:
            return location
        before = _map(location, project_id)
        _tell(grant, EventType.LOCATION_MAPPED, "location", location, before)
        revocations.revocation_tell(revocations.Revoked.CONNECTOR, location.instance.connector_id)
    return location


def locations_map(rows: QuerySet[Location], project_id: UUID | None) -> None:
    """Have all of these serve this project, or none, in the caller's transaction."""
    rows.update(project_id=project_id, mapping_version=F("mapping_version") + 1)


def _map(row: Instance | Location, project_id: UUID | None) -> UUID | None:
    """The project that it served."""
    before, row.project_id = row.project_id, project_id
    row.mapping_version += 1
    row.save(update_fields=["project", "mapping_version"])
    return before


def _check_version(row: Instance | Location, expected: int | None) -> None:
    if expected is not None and expected != row.mapping_version:
        raise errors.PreconditionFailed(version=row.mapping_version)


def _check_project(grant: Grant, project_id: UUID | None) -> None:
    if project_id is not None:
        authorization.authorize(grant.principal, Scope.CONNECTORS_WRITE, project_id=project_id)


def _tell(grant: Grant, event_type: EventType, kind: str, row: Instance | Location, before: UUID | None) -> None:
    audit.event_record(
        event_type=event_type,
        principal=grant.principal,
        target_kind=kind,
        target_id=row.id,
        project_id=row.project_id,
        details={"from_project_id": str(before) if before else None},
    )
