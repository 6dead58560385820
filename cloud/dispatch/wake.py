"""Waking another process by PostgreSQL's NOTIFY: ids only, in the commit that they tell of, heard after it.

A process that holds links listens on a channel of its own; answers that somebody elsewhere waits for go to one channel
that everybody hears. One listening connection a process, outside any pool. Hints, never state: whoever connects anew
looks at everything once. Tests: tests/integration/cloud/relay/test_two_processes.py.
"""

import asyncio
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from cloud.connectors.models import Connector
from cloud.tenancy import hints, revocations
from relay.ports import Hears

ANSWERS = "ropeway_answers"
_RECONNECT_S_MAX = 30.0

PROCESS = secrets.token_hex(8)
"""What this process is called where it holds a link."""
CHANNEL = f"ropeway_links_{PROCESS}"
"""Where it hears of calls for the machines linked to it."""

logger = logging.getLogger(__name__)


def tell_waiting(connector: Connector) -> None:
    """With the open transaction's commit, tell the process that holds the connector's link that a call waits."""
    if connector.link_channel:
        hints.hint_tell(connector.link_channel, str(connector.id))


def tell_answered(call_id: str) -> None:
    """With the open transaction's commit, tell everybody that the call has its answer."""
    hints.hint_tell(ANSWERS, call_id)


class PostgresWaker:
    """The relay's Waker."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo

    async def listen(self, hears: Hears) -> None:
        """Hand on what is told, until cancelled; a lost connection is made anew, after 1 s, doubling to 30 s."""
        failures = 0
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True) as listening:
                    for channel in (CHANNEL, ANSWERS, revocations.CHANNEL):
                        await listening.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                    failures = 0
                    await hears.on_listening()
                    async for told in listening.notifies():
                        await _hand_on(told, hears)
            except Exception:
                logger.exception("Listening was interrupted", extra={"event": "dispatch.listening_interrupted"})
            failures += 1
            await asyncio.sleep(min(_RECONNECT_S_MAX, 2.0 ** (failures - 1)))


async def _hand_on(told: psycopg.Notify, hears: Hears) -> None:
    if told.channel == revocations.CHANNEL:
        await _hand_on_revocation(told.payload, hears)
        return
    (named,) = hints.hint_parts(told.payload, 1)
    if told.channel == ANSWERS:
        await hears.on_answered(named)
    else:
        await hears.on_waiting(named)


async def _hand_on_revocation(payload: str, hears: Hears) -> None:
    """Links stay open, and so must hear of it; whatever else a credential opens asks at its next use."""
    ended = revocations.revocation_read(payload)
    if ended is None:
        return
    match ended.kind:
        case revocations.Revoked.CONNECTOR:
            await hears.on_unsettled(connector_id=str(ended.id))
        case revocations.Revoked.ORGANIZATION:
            await hears.on_unsettled(organization_id=str(ended.id))


class AnswerListener:
    """For a process without an event loop: waits on a connection of its own until one call is answered."""

    def __init__(self, listening: psycopg.Connection) -> None:
        self._listening = listening

    def wait(self, call_id: str, *, until: datetime) -> bool:
        """Whether the call's answer was told in time."""
        while (remaining_s := (until - datetime.now(UTC)).total_seconds()) > 0:
            for told in self._listening.notifies(timeout=remaining_s, stop_after=1):
                if hints.hint_parts(told.payload, 1) == (call_id,):
                    return True
        return False


@contextmanager
def answers_heard(conninfo: str) -> Iterator[AnswerListener]:
    """Hear every answer inside; begin before the call is recorded, so that none is missed."""
    with psycopg.connect(conninfo, autocommit=True) as listening:
        listening.execute(sql.SQL("LISTEN {}").format(sql.Identifier(ANSWERS)))
        yield AnswerListener(listening)
