"""One round of a polled source: page by page, each page's effect and cursor in one transaction.

Killed anywhere, the next round goes on from the last page that took effect; an item that is told again has none. A
source that fails is asked again later and later, with jitter, so that a fleet does not come back at once. One round of
a source at a time (its row is locked). Called by `cloud.schedules`, with no scope open. Tests:
tests/integration/cloud/polling/test_rounds.py.
"""

import logging
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from cloud.polling.models import PolledItem, PollState
from cloud.polling.source import Item, Page, PolledSource, SourceFailed
from cloud.tenancy import scope
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import ids

PAGES_MAX = 100
"""A round ends after so many; the next one goes on."""
KEYS_KEPT = 10
"""How many overlaps long a key is remembered."""
KEY_AGE_MIN = timedelta(days=1)
BACKOFF_FIRST = timedelta(seconds=30)
BACKOFF_MAX = timedelta(hours=1)

_TAKE = """
    INSERT INTO polling_polleditem (id, organization_id, state_id, key, taken_at)
    SELECT t.id, %(org)s, %(state)s, t.key, %(now)s FROM unnest(%(ids)s::uuid[], %(keys)s::text[]) AS t(id, key)
        ON CONFLICT (state_id, key) DO NOTHING RETURNING key
"""

logger = logging.getLogger(__name__)


def backoff(failures: int, *, jitter: float) -> timedelta:
    """Wait after the `failures`-th failure in a row (1-based): doubles from 30 s, capped at an hour, of which `jitter`
    in [0, 1) takes up to half away. Raises ValueError if failures < 1."""
    if failures < 1:
        raise ValueError("Nothing has failed.")
    longest = min(BACKOFF_FIRST * 2 ** min(failures - 1, 20), BACKOFF_MAX)
    return longest * (1 - jitter / 2)


def source_poll(
    source: PolledSource,
    *,
    organization_id: UUID,
    now: datetime,
    jitter: Callable[[], float] = random.random,
) -> int:
    """Poll the source if it is due; how many items took effect."""
    state = _due(source, organization_id, now)
    if state is None:
        return 0
    taken, overlap = 0, source.overlap
    try:
        for _ in range(PAGES_MAX):
            page = source.fetch(dict(state.cursor), overlap=overlap)
            taken += _apply(source, state, page, now)
            overlap = timedelta(0)
            if page.is_last:
                break
    except SourceFailed as failure:
        _failed(state, failure, now, jitter())
        return taken
    _succeeded(state, source, now)
    return taken


def _due(source: PolledSource, organization_id: UUID, now: datetime) -> PollState | None:
    """The source's row, with its next round moved on, so that nobody else begins this one."""
    with scope.organization(organization_id), recorded("poll_begin"):
        PollState.objects.get_or_create(
            organization_id=organization_id,
            source=source.name,
            subject_id=source.subject_id,
            defaults={"next_poll_at": now},
        )
        state = PollState.objects.select_for_update().get(
            organization_id=organization_id, source=source.name, subject_id=source.subject_id
        )
        if state.next_poll_at > now:
            return None
        state.next_poll_at, state.polled_at = now + BACKOFF_FIRST, now
        state.save(update_fields=["next_poll_at", "polled_at"])
    return state


def _apply(source: PolledSource, state: PollState, page: Page, now: datetime) -> int:
    with scope.organization(state.organization_id), recorded("poll_page"):
        news = _new_ones(state, page.items, now)
        if news:
            source.apply(news)
        state.cursor, state.items = page.cursor, state.items + len(news)
        state.save(update_fields=["cursor", "items"])
    return len(news)


def _new_ones(state: PollState, items: Sequence[Item], now: datetime) -> list[Item]:
    """Those whose key was not taken before; of a key told twice on one page, the last."""
    told = {item.key: item for item in items}
    if not told:
        return []
    facts: dict[str, Any] = {
        "org": state.organization_id,
        "state": state.id,
        "now": now,
        "ids": [ids.new_uuid7() for _ in told],
        "keys": list(told),
    }
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, facts)
        new = {key for (key,) in cursor.fetchall()}
    return [item for key, item in told.items() if key in new]


def _succeeded(state: PollState, source: PolledSource, now: datetime) -> None:
    with scope.organization(state.organization_id), recorded("poll_end"):
        state.next_poll_at, state.succeeded_at = now + source.every, now
        state.failures_in_a_row, state.fault = 0, ""
        state.save(update_fields=["next_poll_at", "succeeded_at", "failures_in_a_row", "fault"])
        kept = max(source.overlap * KEYS_KEPT, KEY_AGE_MIN)
        PolledItem.objects.filter(state=state, taken_at__lt=now - kept).delete()


def _failed(state: PollState, failure: SourceFailed, now: datetime, jitter: float) -> None:
    with scope.organization(state.organization_id), recorded("poll_end"):
        state.failures_in_a_row += 1
        wait = backoff(state.failures_in_a_row, jitter=jitter)
        if failure.retry_after_s is not None:
            wait = max(wait, timedelta(seconds=failure.retry_after_s))
        state.next_poll_at, state.fault = now + wait, failure.code[:100]
        state.save(update_fields=["next_poll_at", "failures_in_a_row", "fault"])
    logger.warning(
        "polling failed",
        extra={"event": "poll.failed", "source": state.source, "fault": state.fault, "times": state.failures_in_a_row},
    )
