"""One repository's events, read from the daemon and sent on in batches, a few ahead of what is acknowledged.

It keeps no position of its own: the relay says where to begin, each time, so nothing is lost that the cloud lacks.
Called by `serving`. Tests: tests/integration/connector/test_event_tail.py.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from connector_agent import comparison
from connector_agent.daemon_client import DaemonClient
from local_daemon.protocol import envelopes, errors, events, failpoints, limits

BATCHES_AHEAD = 8
_BATCH_BYTES = limits.FRAME_BYTES // 2
"""Room for one event more and for the frame around them."""


class EventTail:
    """Follows one log from a position until it is told another, or the daemon goes."""

    def __init__(
        self,
        follow: envelopes.Follow,
        *,
        daemon: DaemonClient,
        send: Callable[[envelopes.Frame], Awaitable[None]],
        compared: Callable[[comparison.PutBack | None], None] = lambda _: None,
    ) -> None:
        """Nothing is read before `run`. `compared` is told whether the log is the one that the cloud took in."""
        self._follow = follow
        self._daemon = daemon
        self._send = send
        self._compared = compared
        self._unacknowledged: list[int] = []
        self._room = asyncio.Event()
        self._room.set()

    def acknowledge(self, ack: envelopes.Ack) -> None:
        """The cloud has everything up to a position."""
        if ack.log_id == self._follow.log_id:
            self._unacknowledged = [seq for seq in self._unacknowledged if seq > ack.seq]
            self._room.set()

    async def run(self) -> None:
        """Send batches for ever. Raises ConnectorOffline when the daemon goes, PreconditionFailed when its log is not
        the one that was asked for. What a log that was put back says instead is the cloud's to refuse."""
        self._compared(await comparison.log_compare(self._daemon, self._follow))
        async for batch in self._batches():
            await self._wait_for_room()
            failpoints.failpoint("connector.events_send.before_commit")
            await self._send(batch)
            failpoints.failpoint("connector.events_send.after_commit")
            self._unacknowledged.append(batch.records[-1].seq)

    async def _wait_for_room(self) -> None:
        while len(self._unacknowledged) >= BATCHES_AHEAD:
            self._room.clear()
            await self._room.wait()

    async def _batches(self) -> AsyncIterator[envelopes.Events]:
        asked = self._follow
        async for line in self._daemon.events(asked.repository_id, after_seq=asked.after_seq):
            if line["log_id"] != asked.log_id:
                raise errors.PreconditionFailed("the daemon keeps another log now")
            for records in split(line["records"]):
                yield envelopes.Events(repository_id=asked.repository_id, log_id=asked.log_id, records=records)


def split(raw: list[dict[str, object]]) -> list[tuple[events.EventRecord, ...]]:
    """The records in pieces that each fit a frame."""
    pieces: list[tuple[events.EventRecord, ...]] = []
    piece: list[events.EventRecord] = []
    size = 0
    for item in raw:
        record = events.EventRecord.model_validate(item)
        length = len(record.model_dump_json())
        if piece and (size + length > _BATCH_BYTES or len(piece) == limits.EVENTS_PER_BATCH):
            pieces.append(tuple(piece))
            piece, size = [], 0
        piece.append(record)
        size += length
    if piece:
        pieces.append(tuple(piece))
    return pieces
