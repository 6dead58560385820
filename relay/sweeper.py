"""The relay's clock: ends calls whose time is over, puts silent links offline, makes up for lost wake-ups.

Runs in every serving process; the book lets one of them act. Sleeps until the next call is due, a few seconds at most,
because a wake-up that got lost is found on the next look. Tests: tests/integration/cloud/relay/test_delivery.py.
"""

import asyncio
import logging
from datetime import UTC, datetime

from relay.router import Router

LOOK_S = 5.0
"""How long a lost wake-up can go unnoticed."""

logger = logging.getLogger(__name__)


async def sweep_forever(router: Router) -> None:
    """Sweep until cancelled."""
    while True:
        due_at = None
        try:
            due_at = await router.books.calls.sweep()
            await router.look()
        except Exception:
            logger.exception("A sweep failed", extra={"event": "relay.sweep_failed"})
        wait_s = LOOK_S if due_at is None else min(LOOK_S, max(0.05, (due_at - datetime.now(UTC)).total_seconds()))
        await asyncio.sleep(wait_s)
