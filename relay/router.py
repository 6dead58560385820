"""From a recorded call to the machine that must do it, and from an answer to whoever waits.

A call for a connector linked here goes out at once; for any other, its row and a wake-up lead to the process that holds
the link. Every hint that got lost is made up for by `look`. Deliberately keeps no state beyond its registry and its
waiters. Called by dispatch, `consumers`, `sweeper` and the Waker.
Tests: tests/integration/cloud/relay/test_delivery.py.
"""

import asyncio
import logging

from local_daemon.protocol import errors
from relay.calls import Call
from relay.links import Books, LiveLink
from relay.pending import PendingCalls
from relay.registry import LinkRegistry

logger = logging.getLogger(__name__)


class Router:
    """The relay's middle, one a serving process."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.registry = LinkRegistry()
        self.pending = PendingCalls()
        self._tasks: set[asyncio.Task[None]] = set()

    async def deliver(self, connector_id: str, call: Call) -> bool:
        """Hand a call recorded as sent to the connector's link here. False: it has none now, and the next link of
        the connector takes the call."""
        link = self.registry.find(connector_id)
        return link is not None and await link.deliver(call)

    def link_attached(self, link: LiveLink) -> None:
        """A link opened here: it is the connector's from now on, and an older one here ends."""
        replaced = self.registry.put(link)
        if replaced is not None:
            self._spawn(replaced, errors.PreconditionFailed("Another link of this connector is the live one now."))

    def _spawn(self, link: LiveLink, reason: errors.RopewayError) -> None:
        task = asyncio.get_running_loop().create_task(link.end(reason))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def link_detached(self, link: LiveLink) -> None:
        """A link ended here."""
        self.registry.remove(link)
        await self.books.links.close(link.grant)

    # -- what other processes tell (ports.Hears)

    async def on_waiting(self, connector_id: str) -> None:
        """A call waits for a connector that may be linked here."""
        link = self.registry.find(connector_id)
        if link is not None:
            link.take_soon()

    async def on_answered(self, call_id: str) -> None:
        """A call was answered elsewhere."""
        if self.pending.is_awaited(call_id):
            answer = await self.books.calls.find_answer(call_id)
            if answer is not None:
                self.pending.resolve(call_id, answer)

    async def on_unsettled(self, *, connector_id: str | None = None, organization_id: str | None = None) -> None:
        """End the links that are meant; who may still have one dials anew, and is told what holds now."""
        for link in self.registry.links():
            if connector_id == link.grant.connector_id or organization_id == link.grant.organization_id:
                link.hang_up(errors.ConnectorOffline("What this link rests on has changed; dial anew."))

    async def on_listening(self) -> None:
        """Hints may have been missed: look."""
        await self.look()

    async def look(self) -> None:
        """Take what waits for the connectors linked here, and find answers that are awaited here."""
        linked = self.registry.connector_ids()
        if linked:
            for connector_id in await self.books.calls.waiting(linked):
                await self.on_waiting(connector_id)
        for call_id in self.pending.awaited():
            await self.on_answered(call_id)
