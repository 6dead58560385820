"""The loop that seals: woken by each commit that holds an audit event, in every serving process.

It listens on a connection of its own, outside any pool, and looks at everything once whenever that connection is new:
what was missed meanwhile is found then, so nothing is polled. Deliberately knows neither Django nor tenant scopes; the
wiring hands in how an organization is sealed. Tests: tests/integration/cloud/audit/test_sealer.py.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol
from uuid import UUID

import psycopg

CHANNEL = "ropeway_audit"
GATHER_S = 0.5
"""How long notifications are gathered before one pass: a busy organization is sealed twice a second, not at each
commit."""
_READ_S = 0.01
"""Enough to read what has gathered."""
_RECONNECT_S_MAX = 30.0

logger = logging.getLogger(__name__)


class Seal(Protocol):
    """Seals what one organization has unsealed now; how many events that were."""

    def __call__(self, org_id: UUID, *, is_complete: bool) -> Awaitable[int]:
        """`is_complete`: look at all events, not only at recent ones."""


async def seal_forever(*, conninfo: str, organizations: Callable[[], Awaitable[Iterable[UUID]]], seal: Seal) -> None:
    """Seal until cancelled; a lost connection is made anew, after 1 s, doubling to 30 s while that fails."""
    failures = 0
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                failures = 0
                await _seal_everything(organizations, seal)
                await _seal_as_told(connection, seal)
        except Exception:
            logger.exception("Sealing was interrupted", extra={"event": "audit.sealing_interrupted"})
        failures += 1
        await asyncio.sleep(min(_RECONNECT_S_MAX, 2.0 ** (failures - 1)))


async def _seal_everything(organizations: Callable[[], Awaitable[Iterable[UUID]]], seal: Seal) -> None:
    for org_id in await organizations():
        await seal(org_id, is_complete=True)


async def _seal_as_told(connection: psycopg.AsyncConnection, seal: Seal) -> None:
    while True:
        told = set()
        async for notification in connection.notifies(stop_after=1):
            told.add(UUID(notification.payload))
        # Left on the socket meanwhile: to wake up for each would cost a busy process as much as to seal.
        await asyncio.sleep(GATHER_S)
        async for notification in connection.notifies(timeout=_READ_S):
            told.add(UUID(notification.payload))
        for org_id in told:
            await seal(org_id, is_complete=False)
