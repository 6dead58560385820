"""Ports → implementations: what lower rooms declare and this installation fills.

`install` runs in every process; `serving` in those that answer requests, once an event loop runs: it starts what
lives as long as the process. Deliberately the only module that knows both sides. Tests: tests/integration/cloud/.
"""

import asyncio
import logging
from collections.abc import Collection, Coroutine
from datetime import UTC, datetime
from uuid import UUID

from django.conf import settings

from cloud.audit import seal, sealer
from cloud.audit import selectors as audit_selectors
from cloud.audit import services as audit
from cloud.config import database_url, tracing
from cloud.dispatch import services as dispatch
from cloud.metrics import beats, registry
from cloud.metrics.beats import Loop
from cloud.tenancy import scope, selectors, threads

logger = logging.getLogger(__name__)


def install() -> None:
    """Fill the ports of every process."""
    dispatch.install(conninfo=_conninfo)
    tracing.install()


def serving() -> list[Coroutine[None, None, None]]:
    """What a serving process runs beside its requests, for as long as it lives."""
    # Only a serving process pays for what the relay and MCP import.
    from cloud.config import mounts, probe_mounts, relay_mounts  # noqa: PLC0415
    from cloud.console import live  # noqa: PLC0415

    mounts.WEBSOCKETS[live.PATH] = live.LiveDoor(live.followers)
    probe_mounts.mount(ended_loops=ended_loops)
    return [
        seal_forever(),
        live.followers.listen(_conninfo()),
        *relay_mounts.mount(conninfo=_conninfo()),
    ]


def _conninfo() -> str:
    return database_url.url_from_database(settings.DATABASES["default"])


async def seal_forever() -> None:
    """Seal what this process and others record, until cancelled."""
    wakes = sealer.Wakes()
    audit.install_sealer(wakes.tell)
    try:
        await sealer.seal_forever(
            conninfo=_conninfo(),
            organizations=organizations_to_seal,
            unsealed=organizations_unsealed,
            seal=organizations_seal,
            wakes=wakes,
        )
    finally:
        audit.install_sealer(None)


async def organizations_unsealed() -> list[UUID]:
    """Those that nobody was woken for."""
    with scope.operator():
        return await threads.in_database_thread(audit_selectors.organizations_unsealed, now=datetime.now(UTC))


async def organizations_to_seal() -> list[UUID]:
    """Every organization there is, or was, and the installation itself."""
    return await threads.in_database_thread(selectors.audited_ids)


async def organizations_seal(org_ids: Collection[UUID], *, is_complete: bool) -> seal.Pass:
    """Seal what is unsealed, together, as far as no other process is at it."""
    with scope.operator(), registry.AUDIT_SEAL_SECONDS.time():
        done = await threads.in_database_thread(seal.organizations_seal_free, org_ids, is_complete=is_complete)
    registry.AUDIT_SEALED.inc(done.sealed)
    beats.beat(Loop.SEALER)
    return done


_tasks: set[asyncio.Task[None]] = set()
_ended_loops: set[str] = set()


def start_serving() -> None:
    """Start `serving` on the running loop, and keep its tasks alive."""
    for coroutine in serving():
        task = asyncio.get_running_loop().create_task(coroutine, name=getattr(coroutine, "__qualname__", "a loop"))
        _tasks.add(task)
        task.add_done_callback(_ended)


def _ended(task: asyncio.Task[None]) -> None:
    _tasks.discard(task)
    if not task.cancelled():
        _ended_loops.add(task.get_name())
        facts = {"event": "loop.ended", "loop": task.get_name()}
        logger.critical("A loop ended", exc_info=task.exception(), extra=facts)


def ended_loops() -> list[str]:
    """Which of them ended by themselves: this process should not go on serving."""
    return sorted(_ended_loops)


async def stop_serving() -> None:
    """Cancel what `start_serving` started, and wait for its end."""
    for task in _tasks:
        task.cancel()
    await asyncio.gather(*_tasks, return_exceptions=True)
