"""Locations: where projects are. Tests: tests/integration/cloud/rest/test_machines.py."""

from cloud.connectors import mapping, selectors
from cloud.connectors.models import Location
from cloud.rest.collection import Collection
from cloud.rest.locations.messages import LocationPage, LocationQuery, LocationView, ProjectMapping


def location_view(row: Location) -> LocationView:
    """One location, selected with its instance and connector."""
    return LocationView(
        location_id=row.id,
        project_id=row.project_id,
        mapping_version=row.mapping_version,
        instance_id=row.instance_id,
        connector_id=row.instance.connector_id,
        machine=row.instance.connector.label,
        repository_id=row.repository_id,
        repository=row.repository_label,
        is_shared=row.is_shared,
        is_online=bool(row.instance.connector.link_owner),
        last_advertised_at=row.last_advertised_at,
    )


_all = Collection(name="locations", path="/locations", id_name="location_id", view=location_view, response=LocationView)

ENDPOINTS = (
    _all.list(
        "Locations",
        "The repositories of machines within reach, and the project that each serves; oldest first.",
        selectors.location_page,
        query=LocationQuery,
        page=LocationPage,
    ),
    _all.get("A location", "One repository of a machine.", selectors.location_get),
    _all.put(
        "map",
        "project",
        "Map a repository",
        "Have one repository serve this project, or none; its link is renewed.",
        mapping.location_map,
        body=ProjectMapping,
    ),
)
