"""Waiting for processes to end, woken by the kernel and never by polling.

A pidfd (Linux) or a kqueue (macOS) becomes readable when its process ends, child or not, so no thread and no SIGCHLD
handler is needed. Deliberately reaps nothing. Used by the other modules of this room only.
Tests: tests/unit/daemon/processes/.
"""

import asyncio
import os
import select
import sys
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def exit_descriptor(pid: int) -> Iterator[int]:
    """A file descriptor that is readable once the process has ended. Raises ProcessLookupError if there is none."""
    if sys.platform == "linux":
        descriptor = os.pidfd_open(pid)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    else:
        queue = select.kqueue()
        try:
            queue.control([select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)], 0)
            yield queue.fileno()
        finally:
            queue.close()


async def until_ended(pids: Collection[int], *, timeout_s: float | None) -> frozenset[int]:
    """Wait until every process has ended, at most `timeout_s`; answers those that have not."""
    loop = asyncio.get_running_loop()
    remaining = set(pids)
    finished = loop.create_future()
    watched: list[int] = []

    def ended(pid: int, descriptor: int) -> None:
        loop.remove_reader(descriptor)
        remaining.discard(pid)
        if not remaining and not finished.done():
            finished.set_result(None)

    with ExitStack() as stack:
        for pid in pids:
            try:
                descriptor = stack.enter_context(exit_descriptor(pid))
            except ProcessLookupError:
                remaining.discard(pid)
                continue
            watched.append(descriptor)
            loop.add_reader(descriptor, ended, pid, descriptor)
        try:
            if remaining:
                await asyncio.wait_for(finished, timeout_s)
        except TimeoutError:
            pass  # The answer says which are left.
        finally:
            for descriptor in watched:
                loop.remove_reader(descriptor)
    return frozenset(remaining)
