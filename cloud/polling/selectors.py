"""Reading what polling found. Callers open the organization's scope, and show it within a grant's reach.

Tests: tests/integration/cloud/operations/test_machines.py.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

from cloud.polling.models import ConnectorHealth


def health_of(connector_ids: Collection[UUID]) -> Mapping[UUID, ConnectorHealth]:
    """How machines answered when they were last asked, by machine; those that were never asked are not in it."""
    return {row.connector_id: row for row in ConnectorHealth.objects.filter(connector_id__in=connector_ids)}
