"""Every minute: a round of each polled source that is due, organization by organization.

Sources are listed here; a provider adds its own. Tests: tests/integration/cloud/schedules/test_connector_health.py.
"""

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from uuid import UUID

from cloud.polling import rounds
from cloud.polling.source import PolledSource
from cloud.schedules.connector_health import ConnectorHealthSource
from cloud.tenancy import selectors

SOURCES: tuple[Callable[[UUID], PolledSource], ...] = (ConnectorHealthSource,)


_LONGEST_S = 60.0
"""A run ends well before the queue would take it for dead; the next one, a minute later, goes on."""


def run() -> int:
    """Poll what is due; how many items took effect."""
    taken, ends_at = 0, time.monotonic() + _LONGEST_S
    for organization_id, source in _sources():
        taken += rounds.source_poll(source, organization_id=organization_id, now=datetime.now(UTC))
        if time.monotonic() > ends_at:
            break
    return taken


def _sources() -> Iterator[tuple[UUID, PolledSource]]:
    """In an order of no one's own, so that a slow organization does not keep the same others waiting."""
    organization_ids = selectors.organization_ids()
    random.shuffle(organization_ids)
    for organization_id in organization_ids:
        for source in SOURCES:
            yield organization_id, source(organization_id)
