"""Which open pages a notification concerns: those that may show what moved, and no others.

A wake-up is a hint: a page that is woken looks for itself, in its viewer's scope, and finds perhaps nothing.
Deliberately asks no database, for it hears whatever any tenant does. Used by `live`. Tests:
tests/unit/cloud/console/test_waking.py, tests/integration/cloud/relay/test_live.py.
"""

import asyncio
import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from uuid import UUID

import psycopg

from cloud.connectors import links
from cloud.runs import feed
from cloud.tenancy import hints, revocations
from cloud.tenancy.revocations import Revocation, Revoked

_CHANNELS = (feed.CHANNEL, links.PRESENCE, revocations.CHANNEL)
_RECONNECT_S_MAX = 30.0
_EVERY_SESSION = UUID(int=0)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Who looks, from which session, and at what. `organization_id` None: an operator looks at all of them;
    `run_id` None: at everything that the viewer reaches."""

    session: UUID
    user_id: UUID
    organization_id: UUID | None
    membership_id: UUID | None = None
    project_ids: frozenset[UUID] | None = None
    run_id: str | None = None

    def shows(self, growth: feed.Growth) -> bool:
        """Whether what grew in its organization may be on it."""
        if self.run_id is not None:
            return growth.run_ids is None or self.run_id in growth.run_ids
        return self.project_ids is None or growth.project_id is None or growth.project_id in self.project_ids

    def rests_on(self, ended: Revocation) -> bool:
        """Whether its viewer may have lost it with that."""
        match ended.kind:
            case Revoked.SESSION:
                return ended.id in (self.session, _EVERY_SESSION)
            case Revoked.USER:
                return ended.id == self.user_id
            case Revoked.MEMBERSHIP:
                return ended.id == self.membership_id
            case Revoked.ORGANIZATION:
                return ended.id == self.organization_id
            case Revoked.WORKSPACE | Revoked.PROJECT:
                # Rare, and it does not say whose it was.
                return True
            case Revoked.TOKEN | Revoked.CONNECTOR:
                return False


@dataclass(slots=True, kw_only=True, eq=False)
class Waiting:
    """An open page and what wakes it. Its `page` may come to reach more or less, but stays in its organization."""

    page: Page
    moved: asyncio.Event = field(default_factory=asyncio.Event)


class Followers:
    """The open pages of this process, by organization; an operator's under None."""

    def __init__(self) -> None:
        self._waiting: dict[UUID | None, set[Waiting]] = defaultdict(set)

    def __len__(self) -> int:
        return sum(len(pages) for pages in self._waiting.values())

    @contextmanager
    def following(self, page: Page) -> Iterator[Waiting]:
        """A page for as long as it is open."""
        waiting, owner = Waiting(page=page), page.organization_id
        self._waiting[owner].add(waiting)
        try:
            yield waiting
        finally:
            self._waiting[owner].discard(waiting)
            if not self._waiting[owner]:
                del self._waiting[owner]

    def hear(self, channel: str, payload: str) -> None:
        """Wake the pages that a notification concerns."""
        if channel == feed.CHANNEL:
            growth = feed.growth_read(payload)
            heard = self._of(growth.organization_id if growth else None)
            found = (one for one in heard if growth is None or one.page.shows(growth))
        elif channel == links.PRESENCE:
            (organization,) = hints.hint_parts(payload, 1)
            found = (one for one in self._of(hints.id_find(organization)) if one.page.run_id is None)
        else:
            ended = revocations.revocation_read(payload)
            # A newer release may end what this one has no word for.
            found = (one for one in self._all() if ended is None or one.page.rests_on(ended))
        for waiting in found:
            waiting.moved.set()

    def wake_all(self) -> None:
        """Anybody's may have moved."""
        for waiting in self._all():
            waiting.moved.set()

    def _of(self, organization_id: UUID | None) -> Iterator[Waiting]:
        """Those that look at an organization; of one that was not said, all of them."""
        if organization_id is None:
            return self._all()
        return chain(self._waiting.get(organization_id, ()), self._waiting.get(None, ()))

    def _all(self) -> Iterator[Waiting]:
        return chain.from_iterable(self._waiting.values())

    async def listen(self, conninfo: str) -> None:
        """Hear of everything until cancelled; a lost connection is made anew, after 1 s, doubling to 30 s."""
        failures = 0
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as listening:
                    for channel in _CHANNELS:
                        await listening.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
                    failures = 0
                    self.wake_all()
                    async for told in listening.notifies():
                        self.hear(told.channel, told.payload)
            except Exception:
                logger.exception("Following was interrupted", extra={"event": "console.following_interrupted"})
            failures += 1
            await asyncio.sleep(min(_RECONNECT_S_MAX, 2.0 ** (failures - 1)))


def session_named(session_key: str) -> UUID:
    """What a session is called where its end is told: nothing that opens it. As migration accounts.0003 has it."""
    return UUID(bytes=hashlib.sha256(session_key.encode()).digest()[:16])
