"""The websocket of pages that follow: it tells that something moved, and the page then asks for its parts again.

Raw ASGI before Django. A browser's own session opens it, from our own pages only; who may see what is decided anew for
every telling, so that a membership that ends takes its pages along. It carries ids and words of the feed, no content.
Woken by what concerns it (`waking`); nothing is asked in between. Mounted by the wiring. Tests:
tests/integration/cloud/relay/test_live.py.
"""

import asyncio
import json
from dataclasses import dataclass
from http.cookies import SimpleCookie
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from cloud.accounts.models import User
from cloud.console import denials, middleware, viewer, waking
from cloud.console.denials import Denial
from cloud.console.waking import Followers, Page
from cloud.runs.models import RunEvent, RunSnapshot
from cloud.tenancy import scope
from cloud.tenancy.threads import in_database_thread
from local_daemon.protocol.scopes import Scope

PATH = "/admin/live"
TOLD_MAX = 200
FOLLOWERS_MAX = 2_000
GATHER_S = 0.2
"""The least time between two looks of one page, however much moves."""
_REFUSED, _GONE, _FULL, _ANEW = 4403, 4401, 1013, 1012


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a page follows: one run, or (None) whatever its viewer sees. Its events after `after`."""

    run: UUID | None
    after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What to tell, how far that is, and what wakes the page next."""

    events: list[dict[str, Any]]
    after: int
    page: Page


class NotAllowed(Exception):
    """Whoever asks may not see this, or not any more."""

    code = "forbidden"


class NotThere(NotAllowed):
    """For whoever asks there is no such run."""

    code = "not_found"


class LiveDoor:
    """The websocket application."""

    def __init__(self, followers: Followers) -> None:
        self._followers = followers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one page for as long as it is open."""
        await receive()
        asked, session_key = _asked(scope), _session_key(scope)
        if asked is None:
            await send({"type": "websocket.close", "code": _REFUSED})
            return
        if len(self._followers) >= FOLLOWERS_MAX:
            await send({"type": "websocket.close", "code": _FULL})
            return
        try:
            first = await _first_look(scope, session_key, asked)
        except NotAllowed as refused:
            await in_database_thread(refusal_tell, session_key, asked, refused.code, _address(scope))
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
        with self._followers.following(first.page) as waiting:
            # What moved between the first look and now wakes nobody: look once more.
            waiting.moved.set()
            after = first.after if asked.after is None else asked.after
            # Only a page that follows everything is told of what is in no feed: machines that come and go.
            tells_always = False
            while True:
                await waiting.moved.wait()
                waiting.moved.clear()
                try:
                    news = await in_database_thread(news_of, session_key, Asked(run=asked.run, after=after))
                except NotAllowed:
                    await send({"type": "websocket.close", "code": _GONE})
                    return
                if news.page.organization_id != first.page.organization_id:
                    # They look at another organization now: the page opens anew, and follows that one.
                    await send({"type": "websocket.close", "code": _ANEW})
                    return
                if news.events or tells_always:
                    await send({"type": "websocket.send", "text": json.dumps({"events": news.events})})
                if len(news.events) == TOLD_MAX:
                    waiting.moved.set()
                waiting.page, after, tells_always = news.page, news.after, asked.run is None
                # The first word is told at once; of those right behind it, all with one look.
                await asyncio.sleep(GATHER_S)


async def _first_look(scope: Any, session_key: str, asked: Asked) -> News:
    """Where the page begins. Raises NotAllowed, also for a page that is not ours."""
    if not _is_ours(scope):
        raise NotAllowed
    return await in_database_thread(news_of, session_key, asked)


async def _until_gone(receive: Any) -> None:
    """A page says nothing; what it says all the same is not heard."""
    while (await receive())["type"] != "websocket.disconnect":
        pass


def news_of(session_key: str, asked: Asked) -> News:
    """What happened after a position, for the person of that session, as they may see it now. Blocks.

    Without a position: nothing, and where the feed is. Raises NotAllowed."""
    request = _request_of(session_key)
    user = request.user
    if not user.is_authenticated or not user.is_active or not user.is_staff:
        raise NotAllowed
    organization_id = _looked_at(request)
    if organization_id is None and not user.is_superuser:
        raise NotAllowed
    with scope.operator() if organization_id is None else scope.organization(organization_id):
        return _news(request, session_key, asked)


def refusal_tell(session_key: str, asked: Asked, code: str, address: str | None) -> None:
    """Tell the audit of a page that was not opened, as of any other; nothing where nobody is signed in. Blocks."""
    request = _request_of(session_key)
    if not isinstance(request.user, User):
        return
    path = PATH if asked.run is None else f"{PATH}?run={asked.run}"
    denial = Denial(code=code, method="WEBSOCKET", path=path, view="console-live", about={})
    denials.person_deny(request.user, denial, organization_id=_looked_at(request), address=address)


def _request_of(session_key: str) -> HttpRequest:
    """As a page's request would be that came with that session."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    request.user = get_user(request)
    return request


def _looked_at(request: HttpRequest) -> UUID | None:
    """The organization whose pages they look at; None for an operator, and for who belongs nowhere."""
    return None if request.user.is_superuser else middleware.organization_of(request)


def _news(request: HttpRequest, session_key: str, asked: Asked) -> News:
    principal = viewer.principal_of(request)
    if principal is None and not request.user.is_superuser:
        raise NotAllowed
    if principal is not None and Scope.RUNS_READ not in principal.scopes:
        raise NotAllowed
    rows = RunEvent.objects.order_by("id")
    organization_id = None if principal is None else principal.organization_id
    reach = None if principal is None else principal.project_ids
    run = None
    if asked.run is not None:
        run = RunSnapshot.objects.filter(pk=asked.run).first()
        if run is None or (reach is not None and run.project_id not in reach):
            raise NotThere
        organization_id = run.organization_id
        rows = rows.filter(location_id=run.location_id, run_id=run.run_id)
    if organization_id is not None:
        # The fence says the same; said here, the planner can use an index on it.
        rows = rows.filter(organization_id=organization_id)
    if reach is not None:
        rows = rows.filter(project_id__in=reach)
    assert request.user.pk is not None  # They signed in.
    page = Page(
        session=waking.session_named(session_key),
        user_id=request.user.pk,
        organization_id=organization_id,
        membership_id=None if principal is None else principal.membership_id,
        project_ids=reach,
        run_id=None if run is None else run.run_id,
    )
    if asked.after is None:
        newest = rows.order_by("-id").values_list("id", flat=True).first()
        return News(events=[], after=newest or 0, page=page)
    columns = ("id", "event_type", "at", "run_id", "step_id")
    told = [
        {"id": row["id"], "type": row["event_type"], "at": row["at"].isoformat(), "run_id": row["run_id"],
         "step_id": row["step_id"]}
        for row in rows.filter(id__gt=asked.after).values(*columns)[:TOLD_MAX]
    ]  # fmt: skip
    return News(events=told, after=told[-1]["id"] if told else asked.after, page=page)


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


def _address(scope: Any) -> str | None:
    """As the mounts know it."""
    client = scope.get("client")
    return client[0] if client else None


def _header(scope: Any, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


followers = Followers()
"""Those of this process."""
