"""Hourly: count the sealed audit into rollups, organization by organization.

Idempotent (a cursor moves with the counts) and single-flight (a second run waits for the first's cursor row). Runs on
demand too: `async_task("cloud.schedules.audit_rollups.run")`. Tests: tests/integration/cloud/schedules/.
"""

import logging

from cloud.audit import aggregation, seal
from cloud.tenancy import scope, selectors

logger = logging.getLogger(__name__)


def run() -> int:
    """Count everything that is sealed now, sealing first what is not; how many events were counted."""
    counted = 0
    for org_id in selectors.organization_ids():
        with scope.organization(org_id):
            seal.organization_seal_all(org_id)
            while batch := aggregation.rollups_aggregate(org_id):
                counted += batch
    logger.info("audit counted", extra={"event": "audit.counted", "events": counted})
    return counted
