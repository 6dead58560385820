"""Locations: where projects are. Tests: tests/integration/cloud/rest/test_machines.py."""

from uuid import UUID

from cloud.connectors import mapping, selectors
from cloud.connectors.models import Location
from cloud.rest import pages
from cloud.rest.endpoints import Asked, endpoint
from cloud.rest.locations.messages import LocationPage, LocationQuery, LocationView, ProjectMapping


@endpoint(
    "GET",
    "/locations",
    name="locations.list",
    title="Locations",
    service=selectors.location_page,
    query=LocationQuery,
    response=LocationPage,
)
def locations_list(asked: Asked, query: LocationQuery) -> LocationPage:
    """The repositories of machines within reach, and the project that each serves; oldest first."""
    page = selectors.location_page(
        grant=asked.grant(),
        project_id=query.project_id,
        connector_id=query.connector_id,
        instance_id=query.instance_id,
        limit=query.limit,
        after=pages.after_row(query.cursor),
    )
    return LocationPage(**pages.page_told(page, location_view))


@endpoint(
    "GET",
    "/locations/{location_id}",
    name="locations.get",
    title="A location",
    service=selectors.location_get,
    response=LocationView,
)
def locations_get(asked: Asked, location_id: UUID) -> LocationView:
    """One repository of a machine."""
    return location_view(selectors.location_get(grant=asked.grant(), location_id=location_id))


@endpoint(
    "PUT",
    "/locations/{location_id}/project",
    name="locations.map",
    title="Map a repository",
    service=mapping.location_map,
    request=ProjectMapping,
    response=LocationView,
)
def locations_map(asked: Asked, location_id: UUID, body: ProjectMapping) -> LocationView:
    """Have one repository serve this project, or none; its link is renewed."""
    return location_view(mapping.location_map(grant=asked.grant(), location_id=location_id, project_id=body.project_id))


def location_view(row: Location) -> LocationView:
    """One location, selected with its instance and connector."""
    return LocationView(
        location_id=row.id,
        project_id=row.project_id,
        instance_id=row.instance_id,
        connector_id=row.instance.connector_id,
        machine=row.instance.connector.label,
        repository_id=row.repository_id,
        repository=row.repository_label,
        is_shared=row.is_shared,
        is_online=bool(row.instance.connector.link_owner),
        last_advertised_at=row.last_advertised_at,
    )


ENDPOINTS = (locations_list, locations_get, locations_map)
