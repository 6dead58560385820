"""Events as they happen: server-sent events for people and tools, lines of JSON for the connector.

Both read the log forward from a position and wait on the commit's own wake-up, so nothing is lost and nothing is
polled. Tests: tests/integration/daemon/test_event_stream.py.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial

from local_daemon.http_api import requests
from local_daemon.http_api.requests import Receive, Send
from local_daemon.protocol import errors, events, ids, limits
from local_daemon.storage import event_log
from local_daemon.storage.database import Database
from local_daemon.storage.wake import Wake

Stopping = asyncio.Event
"""Set when the daemon stops: every stream then ends."""

_KEEPALIVE_S = 15.0
_LOGS_AT_MOST = 500
_QUERY_BYTES = 64 * limits.KIB
_POSITION = re.compile(r"[0-9]{1,18}")


def positions_parse(raw_query: bytes) -> dict[ids.RepositoryId, int]:
    """Which logs after which position: `repository_id` and `after_seq` in pairs. Raises InvalidRequest."""
    pairs = requests.pairs_parse(raw_query, limit_bytes=_QUERY_BYTES, limit_fields=2 * _LOGS_AT_MOST)
    repositories = [value for name, value in pairs if name == "repository_id"]
    positions = [value for name, value in pairs if name == "after_seq"]
    if not repositories or len(repositories) != len(positions) or len(pairs) != 2 * len(positions):
        raise errors.InvalidRequest("query: repository_id and after_seq go in pairs")
    if not all(ids.is_id(ids.IdPrefix.REPOSITORY, value) for value in repositories):
        raise errors.InvalidRequest("query: repository_id: malformed")
    return {
        ids.RepositoryId(repository): position_parse(position, name="query: after_seq")
        for repository, position in zip(repositories, positions, strict=True)
    }


def position_parse(text: str, *, name: str) -> int:
    """A position in a log. Raises InvalidRequest that says which `name` was wrong."""
    if _POSITION.fullmatch(text) is None:
        raise errors.InvalidRequest(f"{name}: not a position in a log")
    return int(text)


async def batches_follow(
    database: Database, positions: Mapping[ids.RepositoryId, int]
) -> AsyncIterator[tuple[ids.RepositoryId, str, tuple[events.EventRecord, ...]] | None]:
    """Every batch of events after the positions, for ever; None when nothing happened for a while. Raises NotFound
    for a repository that isn't known."""
    at = dict(positions)
    topics = tuple(at)
    while True:
        mark = database.wake.mark
        found = False
        for repository_id in topics:
            head = database.read(partial(event_log.log_head, repository_id=repository_id))
            while at[repository_id] < head.head_seq:
                records = database.read(
                    partial(
                        event_log.events_after,
                        repository_id=repository_id,
                        after_seq=at[repository_id],
                        limit=limits.EVENTS_PER_BATCH,
                    )
                )
                if not records:
                    break
                at[repository_id] = records[-1].seq
                found = True
                yield repository_id, head.log_id, records
        topic = topics[0] if len(topics) == 1 else None
        if not found and not await change_await(database.wake, after=mark, topic=topic):
            yield None


async def change_await(wake: Wake, *, after: int, topic: str | None) -> bool:
    """Wait for the next commit; False when it is time to say that the stream is alive."""
    try:
        async with asyncio.timeout(_KEEPALIVE_S):
            await wake.wait_for_change(after=after, topic=topic)
    except TimeoutError:
        return False
    return True


async def lines_send(
    send: Send,
    receive: Receive,
    database: Database,
    positions: Mapping[ids.RepositoryId, int],
    *,
    stopping: Stopping,
) -> None:
    """Batches as lines of JSON: `{repository_id, log_id, records}`; an empty line says that the stream is alive.
    Raises NotFound before anything is sent."""
    _logs_require(database, positions)

    async def lines() -> AsyncIterator[bytes]:
        yield b"\n"
        async for batch in batches_follow(database, positions):
            if batch is None:
                yield b"\n"
                continue
            repository_id, log_id, records = batch
            body = ",".join(record.model_dump_json() for record in records)
            yield f'{{"repository_id":"{repository_id}","log_id":"{log_id}","records":[{body}]}}\n'.encode()

    await stream_send(send, receive, lines(), media_type="application/x-ndjson", stopping=stopping)


async def server_sent_send(
    send: Send,
    receive: Receive,
    database: Database,
    repository_id: ids.RepositoryId,
    *,
    after_seq: int,
    stopping: Stopping,
) -> None:
    """One repository's events as server-sent events; the id of each is its position, for `Last-Event-ID`. Raises
    NotFound, PreconditionFailed before anything is sent."""
    head = database.read(partial(event_log.log_head, repository_id=repository_id))
    if after_seq > head.head_seq:
        # Whoever read so far read another log, and would wait here in vain for what happens meanwhile.
        raise errors.PreconditionFailed(
            "The log ends before that position, so another one was read: follow it from its beginning.",
            head_seq=head.head_seq,
            log_id=head.log_id,
        )

    async def messages() -> AsyncIterator[bytes]:
        yield b": following\n\n"
        async for batch in batches_follow(database, {repository_id: after_seq}):
            if batch is None:
                yield b": still here\n\n"
                continue
            for record in batch[2]:
                data = json.dumps(record.model_dump(mode="json"), separators=(",", ":"))
                yield f"id: {record.seq}\nevent: {record.type}\ndata: {data}\n\n".encode()

    await stream_send(send, receive, messages(), media_type="text/event-stream", stopping=stopping)


def _logs_require(database: Database, repository_ids: Iterable[ids.RepositoryId]) -> None:
    for repository_id in repository_ids:
        database.read(partial(event_log.log_head, repository_id=repository_id))


async def stream_send(
    send: Send, receive: Receive, pieces: AsyncIterator[bytes], *, media_type: str, stopping: Stopping
) -> None:
    """Send pieces until they end, the client goes or the daemon stops."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            continue

    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", media_type.encode("ascii")), (b"cache-control", b"no-store")],
        }
    )

    async def pump() -> None:
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})

    leaving, *ending = [asyncio.create_task(work) for work in (gone(), pump(), stopping.wait())]
    tasks = (leaving, *ending)
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
    if leaving not in done:
        await send({"type": "http.response.body", "body": b""})
