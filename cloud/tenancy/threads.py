"""Where asynchronous code does its database work: a few threads, each with a connection of its own that it keeps.

The hot path of raw ASGI code (relay, MCP). Deliberately not asgiref's `sync_to_async`: outside Django's handler that
queues everything on one thread, and a thread per request would open a connection per request.
Tests: tests/integration/cloud/tenancy/test_threads.py.
"""

import asyncio
import contextvars
import functools
import select
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import connections

THREADS = 8
_IDLE_S = 60.0

P = ParamSpec("P")
R = TypeVar("R")

_executor = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="ropeway-database")
_last_used: dict[int, float] = {}


async def in_database_thread(fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `fn` in a database thread, in the caller's context (its tenant scope included), and await its result.

    A cancelled caller does not stop `fn`: a transaction once begun is finished, one way or the other."""
    return await asyncio.wrap_future(after_answer(fn, *args, **kwargs))


def after_answer(fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
    """Start `fn` in a database thread without waiting: for upkeep that no answer should wait for."""
    context = contextvars.copy_context()
    return _executor.submit(_run, context, functools.partial(fn, *args, **kwargs))


def waiting() -> int:
    """How much work waits for a thread."""
    return _executor._work_queue.qsize()


def _run(context: contextvars.Context, call: Callable[[], R]) -> R:
    _drop_dead_connections()
    try:
        return context.run(call)
    finally:
        for connection in connections.all(initialized_only=True):
            _last_used[id(connection)] = time.monotonic()
            if connection.connection is not None and connection.connection.closed:
                connection.close()


def _drop_dead_connections() -> None:
    """Close what a restarted server or a firewall left dead, so the next statement connects anew.

    A server that ends a connection says so on the socket, which costs no round trip to see; only a connection idle
    for a minute is asked."""
    for connection in connections.all(initialized_only=True):
        raw = connection.connection
        if raw is None or connection.in_atomic_block:
            continue
        idle_s = time.monotonic() - _last_used.get(id(connection), 0.0)
        if raw.closed or ((idle_s > _IDLE_S or _has_news(raw.fileno())) and not connection.is_usable()):
            connection.close()


def connections_give_back() -> None:
    """Give this thread's connections back to the pool, as far as no transaction is open on them: for who waits next for
    something else than the database. The next statement takes one again."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def _has_news(descriptor: int) -> bool:
    readable, _, _ = select.select([descriptor], [], [], 0)
    return bool(readable)


def close_all() -> None:
    """Close every thread's connections: for a process that ends, or a test that drops its database."""
    # Each thread must take exactly one of these, so none may finish before all have begun.
    together = threading.Barrier(THREADS)

    def close() -> None:
        together.wait()
        connections.close_all()

    for waiting in [_executor.submit(close) for _ in range(THREADS)]:
        waiting.result()
