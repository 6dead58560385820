"""Reading machines: where a project is, and what may be asked of whom. In the open tenant scope.

Tests: tests/integration/cloud/connectors/test_selectors.py.
"""

from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Model, Prefetch, Q, QuerySet

from cloud.access.principals import Grant
from cloud.connectors import reach
from cloud.connectors.models import Connector, EnrollmentCode, Instance, Location
from cloud.tenancy import grants
from cloud.tenancy.lifecycle import TenantStatus
from cloud.tenancy.models import Project, Status
from cloud.tenancy.pages import Page, page_of
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

M = TypeVar("M", bound=Model)

CANDIDATES_MAX = 100

# On the path of every call: building this query costs the ORM three times what running it costs the database.
# Columns stand in the order of the models' fields, as `from_db` wants them.
_LOCATION = ("id", "organization_id", "project_id", "instance_id", "repository_id", "repository_label", "is_shared")
_INSTANCE = ("id", "organization_id", "connector_id", "instance_id", "label")
_CONNECTOR = ("id", "organization_id", "label", "status", "link_epoch", "link_owner", "link_channel")
_SELECTED = ", ".join(
    f"{table}.{column}"
    for table, columns in (("l", _LOCATION), ("i", _INSTANCE), ("c", _CONNECTOR))
    for column in columns
)
_WHERE_IS_PROJECT = f"""
    SELECT {_SELECTED}
      FROM connectors_location l
      JOIN connectors_instance i ON i.id = l.instance_id
      JOIN connectors_connector c ON c.id = i.connector_id
      JOIN tenancy_project p ON p.id = l.project_id
     WHERE l.project_id = %s AND l.is_shared AND c.status = 'active' AND p.status = 'active' AND p.is_workspace_active
     ORDER BY l.id LIMIT {CANDIDATES_MAX}
"""  # noqa: S608 - constants


def location_resolve(*, project_id: UUID, selector: str | UUID | None = None) -> Location:
    """The one place meant of an active project, with its instance and connector (their columns of identity and link);
    one query.

    `selector` is a location's id, a daemon's or a repository's; None: the project's only place. Raises NotFound for
    none, AmbiguousLocation for several: nothing is chosen at random."""
    with connection.cursor() as cursor:
        cursor.execute(_WHERE_IS_PROJECT, [project_id])
        found = [_location(row) for row in cursor.fetchall()]
    if selector is not None:
        wanted = str(selector)
        found = [row for row in found if wanted in (str(row.id), row.instance.instance_id, row.repository_id)]
    if not found:
        raise errors.NotFound("No shared repository of this project matches; see projects.list for its locations.")
    if len(found) > 1:
        raise errors.AmbiguousLocation(candidates=[location_facts(row) for row in found])
    return found[0]


def _location(row: tuple[Any, ...]) -> Location:
    instance_at, connector_at = len(_LOCATION), len(_LOCATION) + len(_INSTANCE)
    location = Location.from_db(DEFAULT_DB_ALIAS, _LOCATION, row[:instance_at])
    location.instance = Instance.from_db(DEFAULT_DB_ALIAS, _INSTANCE, row[instance_at:connector_at])
    location.instance.connector = Connector.from_db(DEFAULT_DB_ALIAS, _CONNECTOR, row[connector_at:])
    return location


def location_facts(row: Location) -> dict[str, str | bool]:
    """What tells a location apart, for a planner who has to choose."""
    return {
        "location_id": str(row.id),
        "repository_id": row.repository_id,
        "repository": row.repository_label,
        "instance_id": row.instance.instance_id,
        "machine": row.instance.connector.label,
        "is_online": bool(row.instance.connector.link_owner),
    }


@grants.needs(Scope.PROJECTS_READ)
def project_list(*, grant: Grant) -> list[tuple[Project, list[Location]]]:
    """The projects within the grant's reach, each with where it is shared now; two queries."""
    projects = Project.objects.filter(
        organization_id=grant.organization_id, status=TenantStatus.ACTIVE, is_workspace_active=True
    )
    if grant.principal.project_ids is not None:
        projects = projects.filter(id__in=grant.principal.project_ids)
    found = list(projects.select_related("workspace").order_by("id"))
    places: dict[UUID, list[Location]] = {project.id: [] for project in found}
    for row in _shared().filter(project_id__in=list(places)).order_by("id"):
        if row.project_id is not None:
            places[row.project_id].append(row)
    return [(project, places[project.id]) for project in found]


@grants.needs(Scope.CONNECTORS_READ)
def connector_list(*, grant: Grant) -> list[Connector]:
    """The organization's connectors, with their instances and claims; those of the grant's reach only."""
    connectors = reach.connectors_seen(grant).filter(released_at=None)
    return list(connectors.prefetch_related("instances", "claims").order_by("id"))


@grants.needs(Scope.CONNECTORS_READ)
def connector_page(
    *,
    grant: Grant,
    status: Status | None = None,
    is_online: bool | None = None,
    with_released: bool = False,
    search: str = "",
    limit: int = 50,
    after: UUID | None = None,
) -> Page[Connector]:
    """Connectors with their claims and instances; those whose label holds `search`."""
    rows = reach.connectors_seen(grant).prefetch_related("instances", "claims__project", "claims__workspace")
    if not with_released:
        rows = rows.filter(released_at=None)
    if status is not None:
        rows = rows.filter(status=status)
    if is_online is not None:
        rows = rows.exclude(link_owner="") if is_online else rows.filter(link_owner="")
    if search:
        rows = rows.filter(label__icontains=search)
    return page_of(rows, limit=limit, after=after)


@grants.needs(Scope.CONNECTORS_READ)
def connector_get(*, grant: Grant, connector_id: UUID) -> Connector:
    """One connector with its claim, instances and those of their locations that are within reach. Raises NotFound."""
    rows = reach.connectors_seen(grant).filter(id=connector_id)
    # A machine may serve projects that its viewer knows nothing of.
    locations = Prefetch("instances__locations", queryset=locations_within_reach(grant))
    found = rows.prefetch_related("claims__project", "claims__workspace", locations).first()
    if found is None:
        raise errors.NotFound
    return found


@grants.needs(Scope.CONNECTORS_READ)
def instance_page(
    *,
    grant: Grant,
    connector_id: UUID | None = None,
    with_missing: bool = True,
    limit: int = 50,
    after: UUID | None = None,
) -> Page[Instance]:
    """Daemons with their connectors; also those that their connector speaks of no more, unless asked otherwise."""
    rows = instances_within_reach(grant)
    if connector_id is not None:
        rows = rows.filter(connector_id=connector_id)
    if not with_missing:
        rows = rows.filter(missing_since=None)
    return page_of(rows, limit=limit, after=after)


@grants.needs(Scope.CONNECTORS_READ)
def instance_get(*, grant: Grant, instance_id: UUID) -> Instance:
    """One daemon with its connector. Raises NotFound."""
    return _one(instances_within_reach(grant), instance_id)


@grants.needs(Scope.CONNECTORS_READ)
def location_page(
    *,
    grant: Grant,
    project_id: UUID | None = None,
    connector_id: UUID | None = None,
    instance_id: UUID | None = None,
    limit: int = 50,
    after: UUID | None = None,
) -> Page[Location]:
    """Repositories with their daemons, connectors and projects; those that serve none yet too, for who holds the
    machine."""
    rows = locations_within_reach(grant)
    if project_id is not None:
        rows = rows.filter(project_id=project_id)
    if connector_id is not None:
        rows = rows.filter(instance__connector_id=connector_id)
    if instance_id is not None:
        rows = rows.filter(instance_id=instance_id)
    return page_of(rows, limit=limit, after=after)


@grants.needs(Scope.CONNECTORS_READ)
def location_get(*, grant: Grant, location_id: UUID) -> Location:
    """One repository with its daemon, connector and project. Raises NotFound."""
    return _one(locations_within_reach(grant), location_id)


@grants.needs(Scope.CONNECTORS_READ)
def enrollment_code_page(
    *, grant: Grant, open_only: bool = False, limit: int = 50, after: UUID | None = None
) -> Page[EnrollmentCode]:
    """Enrollment codes, without their text; those that a machine may still use only if asked."""
    rows = codes_within_reach(grant)
    if open_only:
        rows = rows.filter(used_at=None, revoked_at=None, expires_at__gt=datetime.now(UTC))
    return page_of(rows, limit=limit, after=after)


@grants.needs(Scope.CONNECTORS_READ)
def enrollment_code_get(*, grant: Grant, code_id: UUID) -> EnrollmentCode:
    """One enrollment code, without its text. Raises NotFound."""
    return _one(codes_within_reach(grant), code_id)


def instances_within_reach(grant: Grant) -> QuerySet[Instance]:
    """Daemons of the machines that the grant's principal may know of."""
    rows = Instance.objects.filter(organization_id=grant.organization_id, connector__in=reach.connectors_seen(grant))
    return rows.select_related("connector", "project")


def locations_within_reach(grant: Grant) -> QuerySet[Location]:
    """Repositories that serve a project of theirs, and all of the machines that they hold."""
    rows = Location.objects.filter(organization_id=grant.organization_id)
    if not grants.reaches_everything(grant.principal):
        held = Q(instance__connector__in=reach.connectors_held(grant))
        rows = rows.filter(Q(project_id__in=grant.principal.project_ids or ()) | held)
    return rows.select_related("instance__connector", "project")


def codes_within_reach(grant: Grant) -> QuerySet[EnrollmentCode]:
    """Enrollment codes for what lies within their reach."""
    who = grant.principal
    rows = EnrollmentCode.objects.filter(organization_id=grant.organization_id)
    if not grants.reaches_everything(who):
        within = Q(project_id__in=who.project_ids or ())
        rows = rows.filter(within | Q(workspace_id=who.workspace_id) if who.workspace_id else within)
    return rows.select_related("project", "workspace", "connector")


def _one(rows: QuerySet[M], row_id: UUID) -> M:
    found = rows.filter(id=row_id).first()
    if found is None:
        raise errors.NotFound
    return found


def _shared() -> QuerySet[Location]:
    return Location.objects.filter(is_shared=True, instance__connector__status=Status.ACTIVE).select_related(
        "instance__connector"
    )
