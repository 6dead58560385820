"""Which executors can be used, as lines of JSON: now, and each time others can.

For the connector, which tells the cloud. While a stream is open the daemon looks at its programs whenever the kernel
says that one may have come or gone; nothing is polled. Tests: tests/integration/daemon/executors/test_instance.py.
"""

import json
from collections.abc import AsyncIterator

from local_daemon.http_api import event_stream
from local_daemon.http_api.requests import Receive, Send
from local_daemon.operations.context import OperationContext


async def lines_send(
    send: Send, receive: Receive, context: OperationContext, *, stopping: event_stream.Stopping
) -> None:
    """`{"executors": [names]}` a line; an empty line says that the stream is alive."""

    async def lines() -> AsyncIterator[bytes]:
        if context.instance_look is not None:
            await context.instance_look()
        told: tuple[str, ...] | None = None
        while True:
            mark = context.instance_wake.mark
            executors = context.instance_view().executors
            names = tuple(executor.name for executor in executors if executor.is_available)
            if names != told:
                told = names
                yield json.dumps({"executors": names}).encode() + b"\n"
            elif not await event_stream.change_await(context.instance_wake, after=mark, topic=None):
                yield b"\n"

    async with context.instance_watched():
        await event_stream.stream_send(send, receive, lines(), media_type="application/x-ndjson", stopping=stopping)
