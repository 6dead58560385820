"""Instances: the daemons behind machines. Tests: tests/integration/cloud/rest/test_machines.py."""

from cloud.connectors import mapping, selectors
from cloud.connectors.models import Instance
from cloud.rest.collection import Collection
from cloud.rest.instances.messages import InstancePage, InstanceQuery, InstanceView
from cloud.rest.locations.messages import ProjectMapping


def instance_view(row: Instance) -> InstanceView:
    """One instance, selected with its connector."""
    return InstanceView(
        instance_id=row.id,
        connector_id=row.connector_id,
        daemon_id=row.instance_id,
        project_id=row.project_id,
        mapping_version=row.mapping_version,
        label=row.label,
        version=row.version,
        executors=tuple(row.executors),
        is_online=bool(row.connector.link_owner) and row.missing_since is None,
        last_advertised_at=row.last_advertised_at,
        missing_since=row.missing_since,
    )


_all = Collection(name="instances", path="/instances", id_name="instance_id", view=instance_view, response=InstanceView)

ENDPOINTS = (
    _all.list(
        "Instances",
        "The daemons of machines within reach, oldest first.",
        selectors.instance_page,
        query=InstanceQuery,
        page=InstancePage,
    ),
    _all.get("An instance", "One daemon.", selectors.instance_get),
    _all.put(
        "map",
        "project",
        "Map a daemon",
        "Have a daemon's repositories go to this project, those that go nowhere yet and those to come.",
        mapping.instance_map,
        body=ProjectMapping,
    ),
)
