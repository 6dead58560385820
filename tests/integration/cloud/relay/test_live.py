"""The websocket of pages that follow: who may open it, what it tells, and when it ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import websockets
from django.conf import settings
from django.db import connection
from django.test import Client

from cloud.connectors.models import Location
from cloud.console import live
from cloud.permissions.roles import Role
from cloud.runs import services as runs
from cloud.runs.models import RunEvent, RunSnapshot
from cloud.tenancy import scope
from cloud.tenancy.models import Membership
from local_daemon.protocol import ids
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.relay.test_deciding import _located

RUN = "run_" + "0" * 26


@pytest.fixture
def place(site: Site) -> Location:
    return _located(site)


@pytest.fixture
def run(site: Site, place: Location) -> RunSnapshot:
    with scope.organization(site.tenant.id):
        return RunSnapshot.objects.create(
            organization_id=site.tenant.id, project_id=site.tenant.project.id, location=place, run_id=RUN, as_of=now(),
            seq=1, view={}, state="open", title="a run",
        )  # fmt: skip


def now() -> datetime:
    return datetime.now(UTC)


def tell(site: Site, place: Location, *, seq: int, run_id: str = RUN) -> None:
    """One more event of the feed, told as the feed tells it."""
    with scope.organization(site.tenant.id):
        RunEvent.objects.create(
            organization_id=site.tenant.id, project_id=site.tenant.project.id, location=place,
            log_id=ids.new_id(ids.IdPrefix.LOG), seq=seq, event_type="step.changed", at=now(), run_id=run_id,
            step_id="step_" + "0" * 26, record={},
        )  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [runs.FEED, str(site.tenant.id)])


def cookie_of(member: Membership) -> str:
    browser = Client()
    browser.force_login(member.user)
    return f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"


@asynccontextmanager
async def opened(
    cloud: Cloud, cookie: str, query: str = "", *, origin: str | None = None
) -> AsyncIterator[websockets.ClientConnection]:
    url = f"ws://127.0.0.1:{cloud.port}{live.PATH}?{query}"
    headers = {"Cookie": cookie} if cookie else {}
    async with websockets.connect(
        url, origin=websockets.Origin(origin or cloud.url), additional_headers=headers, proxy=None
    ) as socket:
        yield socket


async def told(socket: websockets.ClientConnection) -> list[dict[str, Any]]:
    async with asyncio.timeout(10):
        return list(json.loads(await socket.recv())["events"])


async def test_a_page_is_told_of_its_runs_events_as_they_come(
    cloud: Cloud, site: Site, run: RunSnapshot, place: Location, make_member: MakeMember
) -> None:
    cookie = await scripted.in_thread(lambda: cookie_of(make_member(site.tenant, Role.PROJECT_VIEWER)))
    async with opened(cloud, cookie, f"run={run.pk}&after=0") as socket:
        await scripted.in_thread(lambda: tell(site, place, seq=1, run_id="run_" + "1" * 26))
        await scripted.in_thread(lambda: tell(site, place, seq=2))
        (event,) = await told(socket)
        assert (event["type"], event["run_id"]) == ("step.changed", RUN)
        await scripted.in_thread(lambda: tell(site, place, seq=3))
        (later,) = await told(socket)
        assert later["id"] > event["id"]


async def test_what_came_while_the_page_was_made_is_told_at_once(
    cloud: Cloud, site: Site, run: RunSnapshot, place: Location, make_member: MakeMember
) -> None:
    cookie = await scripted.in_thread(lambda: cookie_of(make_member(site.tenant, Role.ORG_OWNER)))
    await scripted.in_thread(lambda: tell(site, place, seq=1))
    async with opened(cloud, cookie, f"run={run.pk}&after=0") as socket:
        assert len(await told(socket)) == 1


@pytest.mark.parametrize("who", ["nobody", "another tenant's owner", "another page", "nonsense"])
async def test_nobody_else_may_open_it(
    cloud: Cloud, site: Site, other_site: Site, run: RunSnapshot, make_member: MakeMember, who: str
) -> None:
    def cookie() -> str:
        return cookie_of(make_member(other_site.tenant if "another tenant" in who else site.tenant, Role.ORG_OWNER))

    shown = "" if who == "nobody" else await scripted.in_thread(cookie)
    query = "run=nonsense" if who == "nonsense" else f"run={run.pk}"
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with opened(cloud, shown, query, origin="http://evil.example" if who == "another page" else None):
            pass
    assert refused.value.response.status_code == 403


async def ended(cloud: Cloud, cookie: str, run: RunSnapshot, end: Callable[[], None]) -> int | None:
    async with opened(cloud, cookie, f"run={run.pk}") as socket:
        await scripted.in_thread(end)
        async with asyncio.timeout(10):
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
        return socket.close_code


async def test_a_membership_that_ends_takes_its_open_pages_along(
    cloud: Cloud, site: Site, run: RunSnapshot, place: Location, make_member: MakeMember
) -> None:
    member = await scripted.in_thread(lambda: make_member(site.tenant, Role.ORG_ADMIN))
    cookie = await scripted.in_thread(lambda: cookie_of(member))

    def end() -> None:
        with scope.organization(site.tenant.id):
            Membership.objects.filter(pk=member.pk).update(status="disabled")
        tell(site, place, seq=9)

    assert await ended(cloud, cookie, run, end) == 4401


async def test_another_projects_events_are_not_told_to_who_is_bound_to_one(
    cloud: Cloud, site: Site, run: RunSnapshot, place: Location, make_member: MakeMember
) -> None:
    def bound() -> str:
        from cloud.tenancy import services as tenancy

        with scope.organization(site.tenant.id):
            other, _ = tenancy.project_ensure(workspace=site.tenant.workspace, name="other", actor=None)
        return cookie_of(make_member(site.tenant, Role.PROJECT_VIEWER, project=other))

    cookie = await scripted.in_thread(bound)
    with pytest.raises(websockets.InvalidStatus):
        async with opened(cloud, cookie, f"run={run.pk}"):
            pass
    async with opened(cloud, cookie, "after=0") as socket:
        await scripted.in_thread(lambda: tell(site, place, seq=1))
        assert await told(socket) == []
