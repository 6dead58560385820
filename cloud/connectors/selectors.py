"""Reading machines: where a project is, and what may be asked of whom. In the open tenant scope.

Tests: tests/integration/cloud/connectors/test_selectors.py.
"""

from uuid import UUID

from django.db.models import QuerySet

from cloud.access.principals import Grant
from cloud.connectors.models import Connector, Location
from cloud.tenancy.models import Project, Status
from local_daemon.protocol import errors

CANDIDATES_MAX = 100


def location_resolve(*, project_id: UUID, selector: str | UUID | None = None) -> Location:
    """The one place meant, with its instance and connector; one query.

    `selector` is a location's id, a daemon's or a repository's; None: the project's only place. Raises NotFound for
    none, AmbiguousLocation for several: nothing is chosen at random."""
    found = list(_shared().filter(project_id=project_id).order_by("id")[:CANDIDATES_MAX])
    if selector is not None:
        wanted = str(selector)
        found = [row for row in found if wanted in (str(row.id), row.instance.instance_id, row.repository_id)]
    if not found:
        raise errors.NotFound("No shared repository of this project matches; see projects.list for its locations.")
    if len(found) > 1:
        raise errors.AmbiguousLocation(candidates=[location_facts(row) for row in found])
    return found[0]


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


def project_list(*, grant: Grant) -> list[tuple[Project, list[Location]]]:
    """The projects within the grant's reach, each with where it is shared now; two queries."""
    projects = Project.objects.filter(organization_id=grant.organization_id, status=Status.ACTIVE)
    if grant.principal.project_ids is not None:
        projects = projects.filter(id__in=grant.principal.project_ids)
    found = list(projects.select_related("workspace").order_by("id"))
    places: dict[UUID, list[Location]] = {project.id: [] for project in found}
    for row in _shared().filter(project_id__in=list(places)).order_by("id"):
        places[row.project_id].append(row)
    return [(project, places[project.id]) for project in found]


def connector_list(*, grant: Grant) -> list[Connector]:
    """The organization's connectors, with their instances and claims; those of the grant's reach only."""
    connectors = Connector.objects.filter(organization_id=grant.organization_id)
    if grant.principal.project_ids is not None:
        connectors = connectors.filter(claims__project_id__in=grant.principal.project_ids)
    return list(connectors.prefetch_related("instances", "claims").order_by("id"))


def _shared() -> QuerySet[Location]:
    return Location.objects.filter(is_shared=True, instance__connector__status=Status.ACTIVE).select_related(
        "instance__connector"
    )
