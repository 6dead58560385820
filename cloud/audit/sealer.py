"""The loop that seals: woken by each commit that holds an audit event, in every serving process.

What this process commits it hears of directly (`Wakes`); what another kind of process commits (the worker, a command)
comes as a notification, on a connection of its own outside any pool. Not every commit notifies, because PostgreSQL
commits those that do one after the other, each with its own wait for the disk. A wake-up is a hint: a new connection
looks at everything once, and now and then one process looks for what a killed one left unsealed. A chain that somebody
else is sealing is passed over and comes again with the next wake-ups: whoever stops in the midst, such as a frozen
machine, holds up no other. Deliberately knows neither Django nor tenant scopes; the wiring hands in how an
organization is sealed. Tests: tests/integration/cloud/audit/test_sealer.py, test_sustained.py.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Protocol
from uuid import UUID

import psycopg

CHANNEL = "ropeway_audit"
GATHER_S = 0.25
"""How long after the first wake-up a pass begins over all that came: the busy are sealed four times a second, not at
each commit. A pass that takes its time is followed by the next one the sooner."""
SWEEP_S = 20.0
"""How often somebody looks for what nobody was woken for; well within the minute after which `verify` complains."""
_RECONNECT_S_MAX = 30.0

logger = logging.getLogger(__name__)

Organizations = Callable[[], Awaitable[Iterable[UUID]]]


class Pass(Protocol):
    """What came of sealing some organizations."""

    @property
    def held(self) -> Collection[UUID]:
        """Whose chains were passed over, for somebody else was at them."""


class Seal(Protocol):
    """Seals what these organizations have unsealed now, and waits for no other sealer."""

    def __call__(self, org_ids: Collection[UUID], *, is_complete: bool) -> Awaitable[Pass]:
        """`is_complete`: look at all events, not only at recent ones."""


class Wakes:
    """Which organizations have something to seal; told from any thread, taken by the loop that made it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._told: set[UUID] = set()
        self._first_told_at = 0.0
        self._lock = threading.Lock()
        self._has_news = asyncio.Event()

    def tell(self, org_id: UUID) -> None:
        """Something of this organization was committed. Costs the loop nothing while it has already heard."""
        with self._lock:
            is_news = not self._told
            self._told.add(org_id)
            if is_news:
                self._first_told_at = self._loop.time()
        if is_news and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._has_news.set)

    async def gathered(self) -> set[UUID]:
        """Wait for the first wake-up, then for those that come within `GATHER_S` of it; all of them."""
        await self._has_news.wait()
        await asyncio.sleep(max(0.0, self._first_told_at + GATHER_S - self._loop.time()))
        with self._lock:
            told, self._told = self._told, set()
            self._has_news.clear()
        return told


async def seal_forever(
    *, conninfo: str, organizations: Organizations, unsealed: Organizations, seal: Seal, wakes: Wakes
) -> None:
    """Seal until cancelled. `organizations`: all there are; `unsealed`: those that have waited too long."""
    # Whose events are all to be looked at, not only the recent ones.
    anew = Wakes()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_listen(conninfo, organizations, wakes, anew))
        tasks.create_task(_sweep(unsealed, wakes, anew))
        tasks.create_task(_seal_as_told(seal, wakes))
        tasks.create_task(_seal_anew(seal, anew))


async def _listen(conninfo: str, organizations: Organizations, wakes: Wakes, anew: Wakes) -> None:
    """Hear other processes; a lost connection is made anew, after 1 s, doubling to 30 s while that fails."""
    failures = 0
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                failures = 0
                for org_id in await organizations():
                    anew.tell(org_id)
                async for notification in connection.notifies():
                    if told := _organization(notification.payload):
                        wakes.tell(told)
        except Exception:
            logger.exception("Listening for events was interrupted", extra={"event": "audit.listening_interrupted"})
        failures += 1
        await asyncio.sleep(min(_RECONNECT_S_MAX, 2.0 ** (failures - 1)))


def _organization(payload: str) -> UUID | None:
    """Whose commit it tells of. What stands behind a slash is another version's, beside which this one serves during an
    update; what cannot be read at all is left to the sweep."""
    try:
        return UUID(payload.partition("/")[0])
    except ValueError:
        logger.warning("A notification names no organization", extra={"event": "audit.notification_unread"})
        return None


async def _sweep(unsealed: Organizations, wakes: Wakes, anew: Wakes) -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        try:
            found = await unsealed()
        except Exception:
            logger.exception("Looking for unsealed events failed", extra={"event": "audit.sweep_failed"})
            continue
        for org_id in found:
            # Most likely it is recent, which is found soon. If not, it lies before that: a database that was restored
            # may count its transactions from a lower number on.
            wakes.tell(org_id)
            anew.tell(org_id)


async def _seal_as_told(seal: Seal, wakes: Wakes) -> None:
    while True:
        told = await wakes.gathered()
        if not await _is_sealed(seal, told, wakes, is_complete=False) and len(told) > 1:
            # One chain that cannot go on keeps no other from it.
            for org_id in told:
                await _is_sealed(seal, [org_id], wakes, is_complete=False)


async def _seal_anew(seal: Seal, anew: Wakes) -> None:
    while True:
        # One by one, for each may take its time, and is locked meanwhile.
        for org_id in await anew.gathered():
            await _is_sealed(seal, [org_id], anew, is_complete=True)


async def _is_sealed(seal: Seal, org_ids: Collection[UUID], wakes: Wakes, *, is_complete: bool) -> bool:
    try:
        done = await seal(org_ids, is_complete=is_complete)
    except Exception:
        # The next wake-up, connection or sweep comes back to it.
        logger.exception("Sealing was interrupted", extra={"event": "audit.sealing_interrupted"})
        return False
    # Whoever is sealing these may have read what there was before. Only who waits for a chain learns that it is free,
    # and would keep a connection from those that can go on.
    for org_id in done.held:
        wakes.tell(org_id)
    return True
