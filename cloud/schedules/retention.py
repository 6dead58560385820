"""Hourly: let go what is kept no longer: what calls said, the feed, presence, and sessions that are over.

Batch by batch, each a transaction that tells the organization's audit what went, so that a killed run goes on where it
was; organizations take turns (`turns`), and one's trouble is logged and holds up no other. The audit has a retention of
its own (`audit_retention`), and people's evidence is their machine's. Tests:
tests/integration/cloud/schedules/test_retention.py.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from uuid import UUID

from django.conf import settings

from cloud.connectors import presence
from cloud.dispatch import retention as calls
from cloud.limits import usage
from cloud.runs import retention as feed
from cloud.schedules import turns
from cloud.tenancy import scope, selectors

TASK = "retention"
"""As it is declared."""
LONGEST_S = 90.0
"""A run ends before the queue would take it for dead (its `timeout`); the next one goes on."""

logger = logging.getLogger(__name__)

Forget = Callable[..., int]


def run() -> str:
    """Let go what is due; what and how much."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    now, ends_at = datetime.now(UTC), time.monotonic() + LONGEST_S
    counts = Counter({"calls": 0, "run events": 0, "presence": 0})
    takers = {
        f"{org_id} {kind}": partial(_turn, org_id, kind, forget, before, counts)
        for org_id in selectors.organization_ids()
        for kind, forget, before in _due(now)
    }
    turns.turns_take(TASK, takers, ends_at=ends_at)
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def _turn(org_id: UUID, kind: str, forget: Forget, before: datetime, counts: Counter[str]) -> bool:
    """One batch of one organization; whether something went."""
    try:
        with scope.organization(org_id):
            gone = forget(org_id, before=before)
    except Exception:
        # The next run comes back to it.
        facts = {"event": "retention.interrupted", "organization_id": str(org_id), "kind": kind}
        logger.exception("Letting go was interrupted", extra=facts)
        return False
    counts[kind] += gone
    return gone > 0


def _due(now: datetime) -> Iterator[tuple[str, Forget, datetime]]:
    kept = (
        ("calls", calls.calls_empty, settings.CALL_CONTENT_RETENTION_DAYS, calls.AGE_MIN),
        ("run events", _feed_forget, settings.FEED_RETENTION_DAYS, timedelta(0)),
        ("presence", presence.presence_prune, settings.PRESENCE_RETENTION_DAYS, timedelta(0)),
    )
    for kind, forget, days, age_min in kept:
        if days:
            yield kind, forget, now - max(timedelta(days=days), age_min)


def _feed_forget(org_id: UUID, *, before: datetime) -> int:
    # What an event says of cost is counted when somebody asks for it; it must not go uncounted.
    usage.cost_fold(org_id)
    return feed.feed_prune(org_id, before=before, through=usage.cost_folded_through(org_id))
