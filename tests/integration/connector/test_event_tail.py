"""Events from the daemon's stream to the relay, in order and a bounded way ahead."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from connector_agent.daemon_client import DaemonClient
from connector_agent.event_tail import BATCHES_AHEAD, EventTail
from local_daemon.protocol import envelopes, errors, ids, limits
from tests.integration.connector.scripted_daemon import LOG, REPOSITORY, daemon_open
from tests.integration.connector.scripted_relay import WITHIN_S


def record(seq: int) -> dict[str, Any]:
    at = "2026-01-01T00:00:00Z"
    return {"seq": seq, "type": "run:created", "at": at, "data": {}, "prev_hash": "0" * 64, "hash": "0" * 64}


def line(*seqs: int, log_id: str = LOG) -> bytes:
    content = json.dumps({"log_id": log_id, "records": [record(seq) for seq in seqs]}).encode() + b"\n"
    return b"%x\r\n%s\r\n" % (len(content), content)


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


async def sent_of(root: Path, *lines: bytes, error: type[errors.RopewayError]) -> list[int]:
    """What was sent, by position, until the tail ended with this error."""
    sent: list[int] = []

    async def answering(target: str, writer: asyncio.StreamWriter) -> None:
        writer.writelines([HEAD, *lines])

    async def send(frame: envelopes.Frame) -> None:
        assert isinstance(frame, envelopes.Events)
        sent.extend(record.seq for record in frame.records)

    async with daemon_open(root / "d", answering), asyncio.timeout(WITHIN_S):
        follow = envelopes.Follow(repository_id=REPOSITORY, log_id=LOG, after_seq=0)
        client = DaemonClient(root / "d")
        with pytest.raises(error):
            await EventTail(follow, daemon=client, send=send).run()
        await client.close()
    return sent


async def test_events_are_sent_in_order_until_the_daemon_goes(root: Path) -> None:
    assert await sent_of(root, line(1, 2), line(3), END, error=errors.ConnectorOffline) == [1, 2, 3]


async def test_many_events_at_once_are_split_and_keep_their_order(root: Path) -> None:
    many = range(1, 2 * limits.EVENTS_PER_BATCH + 2)
    assert await sent_of(root, line(*many), END, error=errors.ConnectorOffline) == [*many]


async def test_another_log_than_the_one_asked_for_is_not_sent(root: Path) -> None:
    other = str(ids.new_id(ids.IdPrefix.LOG))
    assert await sent_of(root, line(1), line(1, log_id=other), END, error=errors.PreconditionFailed) == [1]


async def test_no_more_than_a_few_batches_go_ahead_of_what_is_acknowledged(root: Path) -> None:
    sent: asyncio.Queue[int] = asyncio.Queue()

    async def answering(target: str, writer: asyncio.StreamWriter) -> None:
        writer.writelines([HEAD, *(line(seq) for seq in range(1, 2 * BATCHES_AHEAD + 1))])

    async def send(frame: envelopes.Frame) -> None:
        assert isinstance(frame, envelopes.Events)
        sent.put_nowait(frame.records[-1].seq)

    async with daemon_open(root / "d", answering), asyncio.timeout(WITHIN_S):
        client = DaemonClient(root / "d")
        follow = envelopes.Follow(repository_id=REPOSITORY, log_id=LOG, after_seq=0)
        tail = EventTail(follow, daemon=client, send=send)
        running = asyncio.create_task(tail.run())
        assert [await sent.get() for _ in range(BATCHES_AHEAD)] == [*range(1, BATCHES_AHEAD + 1)]
        assert sent.empty()
        tail.acknowledge(envelopes.Ack(repository_id=REPOSITORY, log_id=LOG, seq=1))
        assert await sent.get() == BATCHES_AHEAD + 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await client.close()
