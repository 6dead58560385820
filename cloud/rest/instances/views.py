"""Instances: the daemons behind machines. Tests: tests/integration/cloud/rest/test_machines.py."""

from uuid import UUID

from cloud.connectors import mapping, selectors
from cloud.connectors.models import Instance
from cloud.rest import pages
from cloud.rest.endpoints import Asked, endpoint
from cloud.rest.instances.messages import InstancePage, InstanceQuery, InstanceView
from cloud.rest.locations.messages import ProjectMapping


@endpoint(
    "GET",
    "/instances",
    name="instances.list",
    title="Instances",
    service=selectors.instance_page,
    query=InstanceQuery,
    response=InstancePage,
)
def instances_list(asked: Asked, query: InstanceQuery) -> InstancePage:
    """The daemons of machines within reach, oldest first."""
    page = selectors.instance_page(
        grant=asked.grant(),
        connector_id=query.connector_id,
        with_missing=query.with_missing,
        limit=query.limit,
        after=pages.after_row(query.cursor),
    )
    return InstancePage(**pages.page_told(page, instance_view))


@endpoint(
    "GET",
    "/instances/{instance_id}",
    name="instances.get",
    title="An instance",
    service=selectors.instance_get,
    response=InstanceView,
)
def instances_get(asked: Asked, instance_id: UUID) -> InstanceView:
    """One daemon."""
    return instance_view(selectors.instance_get(grant=asked.grant(), instance_id=instance_id))


@endpoint(
    "PUT",
    "/instances/{instance_id}/project",
    name="instances.map",
    title="Map a daemon",
    service=mapping.instance_map,
    request=ProjectMapping,
    response=InstanceView,
)
def instances_map(asked: Asked, instance_id: UUID, body: ProjectMapping) -> InstanceView:
    """Have a daemon's repositories go to this project, those that go nowhere yet and those to come."""
    return instance_view(mapping.instance_map(grant=asked.grant(), instance_id=instance_id, project_id=body.project_id))


def instance_view(row: Instance) -> InstanceView:
    """One instance, selected with its connector."""
    return InstanceView(
        instance_id=row.id,
        connector_id=row.connector_id,
        daemon_id=row.instance_id,
        project_id=row.project_id,
        label=row.label,
        version=row.version,
        executors=tuple(row.executors),
        is_online=bool(row.connector.link_owner) and row.missing_since is None,
        last_advertised_at=row.last_advertised_at,
        missing_since=row.missing_since,
    )


ENDPOINTS = (instances_list, instances_get, instances_map)
