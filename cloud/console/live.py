"""The websocket of pages that follow: it tells that something moved, and the page then asks for its parts again.

Raw ASGI before Django. A browser's own session opens it, from our own pages only; who may see what is decided anew for
every telling, so that a membership that ends takes its pages along. It carries ids and words of the feed, no content.
Woken by PostgreSQL's NOTIFY; nothing is asked in between. Mounted by the wiring. Tests:
tests/integration/cloud/relay/test_live.py.
"""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import psycopg
from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from cloud.console import middleware, viewer
from cloud.runs import services as runs
from cloud.runs.models import RunEvent, RunSnapshot
from cloud.tenancy import revocations, scope
from cloud.tenancy.threads import in_database_thread
from local_daemon.protocol.scopes import Scope

PATH = "/admin/live"
TOLD_MAX = 200
FOLLOWERS_MAX = 2_000
_AUDIT = "ropeway_audit"
_RECONNECT_S_MAX = 30.0
_REFUSED, _GONE, _FULL = 4403, 4401, 1013

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a page follows: one run, or (None) whatever its viewer sees. Its events after `after`."""

    run: UUID | None
    after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What to tell, how far that is, and whose feed wakes the page next ('': every one's)."""

    events: list[dict[str, Any]]
    after: int
    organization_id: str


class NotAllowed(Exception):
    """Whoever asks may not see this, or not any more."""


class Followers:
    """The open pages of this process, each woken by its organization's feed."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    def __len__(self) -> int:
        return sum(len(events) for events in self._waiting.values())

    @contextmanager
    def following(self, organization_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever that organization's feed moved; '' follows all."""
        moved = asyncio.Event()
        self._waiting[organization_id].add(moved)
        try:
            yield moved
        finally:
            self._waiting[organization_id].discard(moved)
            if not self._waiting[organization_id]:
                del self._waiting[organization_id]

    def wake(self, organization_id: str) -> None:
        """Its feed moved."""
        for key in (organization_id, ""):
            for moved in self._waiting.get(key, ()):
                moved.set()

    def wake_all(self) -> None:
        """Anybody's may have moved."""
        for waiting in self._waiting.values():
            for moved in waiting:
                moved.set()

    async def listen(self, conninfo: str) -> None:
        """Hear of every feed until cancelled; a lost connection is made anew, after 1 s, doubling to 30 s."""
        failures = 0
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as listening:
                    for channel in (runs.FEED, _AUDIT, revocations.CHANNEL):
                        await listening.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
                    failures = 0
                    self.wake_all()
                    async for told in listening.notifies():
                        if told.channel == revocations.CHANNEL:
                            self.wake_all()
                        else:
                            self.wake(told.payload)
            except Exception:
                logger.exception("Following was interrupted", extra={"event": "console.following_interrupted"})
            failures += 1
            await asyncio.sleep(min(_RECONNECT_S_MAX, 2.0 ** (failures - 1)))


class LiveDoor:
    """The websocket application."""

    def __init__(self, followers: Followers) -> None:
        self._followers = followers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one page for as long as it is open."""
        await receive()
        asked = _asked(scope)
        if asked is None or not _is_ours(scope):
            await send({"type": "websocket.close", "code": _REFUSED})
            return
        if len(self._followers) >= FOLLOWERS_MAX:
            await send({"type": "websocket.close", "code": _FULL})
            return
        session_key = _session_key(scope)
        try:
            first = await in_database_thread(news_of, session_key, asked)
        except NotAllowed:
            await send({"type": "websocket.close", "code": _REFUSED})
            return
        await send({"type": "websocket.accept"})
        gone = asyncio.ensure_future(_until_gone(receive))
        following = asyncio.ensure_future(self._follow(session_key, asked, first, send))
        try:
            await asyncio.wait({gone, following}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (gone, following):
                task.cancel()
            await asyncio.gather(gone, following, return_exceptions=True)

    async def _follow(self, session_key: str, asked: Asked, first: News, send: Any) -> None:
        with self._followers.following(first.organization_id) as moved:
            # What moved between the first look and now wakes nobody: look once more.
            moved.set()
            after = first.after if asked.after is None else asked.after
            # Only a page that follows everything is told of what is in no feed: machines that come and go.
            tells_always = False
            while True:
                await moved.wait()
                moved.clear()
                try:
                    news = await in_database_thread(news_of, session_key, Asked(run=asked.run, after=after))
                except NotAllowed:
                    await send({"type": "websocket.close", "code": _GONE})
                    return
                if news.events or tells_always:
                    await send({"type": "websocket.send", "text": json.dumps({"events": news.events})})
                if len(news.events) == TOLD_MAX:
                    moved.set()
                after, tells_always = news.after, asked.run is None


async def _until_gone(receive: Any) -> None:
    """A page says nothing; what it says all the same is not heard."""
    while (await receive())["type"] != "websocket.disconnect":
        pass


def news_of(session_key: str, asked: Asked) -> News:
    """What happened after a position, for the person of that session, as they may see it now. Blocks.

    Without a position: nothing, and where the feed is. Raises NotAllowed."""
    request = HttpRequest()
    engine = import_module(settings.SESSION_ENGINE)
    request.session = engine.SessionStore(session_key)
    user = get_user(request)
    if not user.is_authenticated or not user.is_active or not user.is_staff:
        raise NotAllowed
    request.user = user
    organization_id = None if user.is_superuser else middleware.organization_of(request)
    if organization_id is None and not user.is_superuser:
        raise NotAllowed
    with scope.operator() if organization_id is None else scope.organization(organization_id):
        return _news(request, asked)


def _news(request: HttpRequest, asked: Asked) -> News:
    principal = viewer.principal_of(request)
    if principal is None and not request.user.is_superuser:
        raise NotAllowed
    if principal is not None and Scope.RUNS_READ not in principal.scopes:
        raise NotAllowed
    rows = RunEvent.objects.order_by("id")
    organization_id = "" if principal is None else str(principal.organization_id)
    run_id = None
    if asked.run is not None:
        run = RunSnapshot.objects.filter(pk=asked.run).first()
        if run is None or (principal is not None and not _reaches(principal.project_ids, run.project_id)):
            raise NotAllowed
        organization_id, run_id = str(run.organization_id), run.run_id
    if organization_id:
        rows = rows.filter(organization_id=organization_id)
    if asked.after is None:
        newest = rows.order_by("-id").values_list("id", flat=True).first()
        return News(events=[], after=newest or 0, organization_id=organization_id)
    columns = ("id", "event_type", "at", "run_id", "step_id", "project_id")
    found = list(rows.filter(id__gt=asked.after).values(*columns)[:TOLD_MAX])
    reach = None if principal is None else principal.project_ids
    told = [
        {"id": row["id"], "type": row["event_type"], "at": row["at"].isoformat(), "run_id": row["run_id"],
         "step_id": row["step_id"]}
        for row in found
        if (run_id is None or row["run_id"] == run_id) and _reaches(reach, row["project_id"])
    ]  # fmt: skip
    return News(events=told, after=found[-1]["id"] if found else asked.after, organization_id=organization_id)


def _reaches(project_ids: frozenset[UUID] | None, project_id: UUID) -> bool:
    return project_ids is None or project_id in project_ids


def _asked(scope: Any) -> Asked | None:
    """What the page follows; None for what no page of ours asks."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    try:
        run = UUID(query["run"][0]) if "run" in query else None
        after = min(int(query["after"][0]), 2**63 - 1) if "after" in query else None
    except ValueError:
        return None
    return None if after is not None and after < 0 else Asked(run=run, after=after)


def _is_ours(scope: Any) -> bool:
    """Whether one of our own pages opened it: a browser sends the session's cookie along from any page."""
    origin = _header(scope, b"origin")
    host = _header(scope, b"host")
    is_own = urlsplit(origin).netloc == host and host != ""
    return is_own or origin in settings.CSRF_TRUSTED_ORIGINS


def _session_key(scope: Any) -> str:
    cookies: SimpleCookie = SimpleCookie()
    cookies.load(_header(scope, b"cookie"))
    found = cookies.get(settings.SESSION_COOKIE_NAME)
    return found.value if found else ""


def _header(scope: Any, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


followers = Followers()
"""Those of this process."""
