"""The websocket of pages that follow: who may open it, what it tells, and when it ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import websockets
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client

from cloud.access import authorization
from cloud.access.principals import system_principal
from cloud.accounts.models import User
from cloud.audit.installation import INSTALLATION
from cloud.audit.models import AuditEvent
from cloud.connectors.models import Location
from cloud.console import denials, live
from cloud.permissions.roles import Role
from cloud.runs import feed
from cloud.runs.models import RunEvent, RunSnapshot
from cloud.tenancy import memberships, organizations, scope
from cloud.tenancy import services as tenancy
from cloud.tenancy.models import Membership, Workspace
from cloud.tenancy.posts import Post
from local_daemon.protocol import ids
from local_daemon.protocol.scopes import Scope
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
        feed.growth_tell(
            feed.growth_of(organization_id=site.tenant.id, project_id=site.tenant.project.id, run_ids=[run_id])
        )


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
    async with asyncio.timeout(60):
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


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sessions whose pages asked the database, look by look."""
    asked: list[str] = []
    news_of = live.news_of

    def counted(session_key: str, about: live.Asked) -> live.News:
        asked.append(session_key)
        return news_of(session_key, about)

    monkeypatch.setattr(live, "news_of", counted)
    return asked


async def settled(looks: list[str], *, opened_pages: int) -> None:
    """Each page that was opened looks twice: before it is followed, and right after."""
    async with asyncio.timeout(60):
        while len(looks) < 2 * opened_pages:  # noqa: ASYNC110 - nobody tells that a page found nothing
            await asyncio.sleep(0.01)
    looks.clear()


async def test_what_moves_asks_for_its_own_pages_only(
    cloud: Cloud, site: Site, other_site: Site, run: RunSnapshot, place: Location, make_member: MakeMember,
    looks: list[str],
) -> None:  # fmt: skip
    """Neither another tenant's page asks the database, nor the page of another run, nor one where somebody else ended
    their session."""

    def cookies() -> list[str]:
        return [cookie_of(make_member(at.tenant, Role.ORG_OWNER)) for at in (site, site, other_site)]

    def another_run() -> RunSnapshot:
        with scope.organization(site.tenant.id):
            return RunSnapshot.objects.create(
                organization_id=site.tenant.id, project_id=site.tenant.project.id, location=place,
                run_id="run_" + "1" * 26, as_of=now(), seq=2, view={}, state="open", title="another run",
            )  # fmt: skip

    following, beside, elsewhere = await scripted.in_thread(cookies)
    other = await scripted.in_thread(another_run)
    async with (
        opened(cloud, following, f"run={run.pk}&after=0") as socket,
        opened(cloud, beside, f"run={other.pk}&after=0"),
        opened(cloud, elsewhere, "after=0"),
    ):
        await settled(looks, opened_pages=3)
        await scripted.in_thread(lambda: tell(site, place, seq=1))
        assert len(await told(socket)) == 1
        assert {f"{settings.SESSION_COOKIE_NAME}={key}" for key in looks} == {following}
        await scripted.in_thread(lambda: Session.objects.filter(pk=elsewhere.partition("=")[2]).delete())
        await scripted.in_thread(lambda: tell(site, place, seq=2))
        assert len(await told(socket)) == 1
        assert beside.partition("=")[2] not in looks


async def test_what_moves_in_one_breath_is_looked_at_together(
    cloud: Cloud, site: Site, run: RunSnapshot, place: Location, make_member: MakeMember, looks: list[str]
) -> None:
    cookie = await scripted.in_thread(lambda: cookie_of(make_member(site.tenant, Role.ORG_OWNER)))

    def breath() -> None:
        for seq in range(1, 51):
            tell(site, place, seq=seq)

    async with opened(cloud, cookie, f"run={run.pk}&after=0") as socket:
        await settled(looks, opened_pages=1)
        await scripted.in_thread(breath)
        heard: list[dict[str, Any]] = []
        while len(heard) < 50:
            heard += await told(socket)
    assert len({event["id"] for event in heard}) == 50
    assert len(looks) < 25


async def test_a_page_far_behind_is_told_all_of_its_run_and_nothing_between(
    cloud: Cloud, site: Site, run: RunSnapshot, place: Location, make_member: MakeMember
) -> None:
    """What other runs did is not read through: it would take the place of what the page asked for."""

    def happen() -> None:
        with scope.organization(site.tenant.id):
            RunEvent.objects.bulk_create(
                RunEvent(
                    organization_id=site.tenant.id, project_id=site.tenant.project.id, location=place,
                    log_id="log_" + "0" * 26, seq=seq, event_type="step.changed", at=now(),
                    run_id="run_" + "1" * 26, record={},
                )
                for seq in range(1, live.TOLD_MAX + 2)
            )  # fmt: skip
        tell(site, place, seq=1_000)

    cookie = await scripted.in_thread(lambda: cookie_of(make_member(site.tenant, Role.ORG_OWNER)))
    await scripted.in_thread(happen)
    async with opened(cloud, cookie, f"run={run.pk}&after=0") as socket:
        (event,) = await told(socket)
        assert event["run_id"] == RUN


async def test_the_dashboard_is_told_when_a_machine_comes_and_goes(
    cloud: Cloud, site: Site, make_member: MakeMember, looks: list[str]
) -> None:
    cookie = await scripted.in_thread(lambda: cookie_of(make_member(site.tenant, Role.PROJECT_VIEWER)))
    async with opened(cloud, cookie, "after=0") as socket:
        await settled(looks, opened_pages=1)
        async with cloud.connected(site):
            assert await told(socket) == []
        assert await told(socket) == []


async def test_who_chose_another_organization_follows_that_one(
    cloud: Cloud, site: Site, other_site: Site, place: Location, make_member: MakeMember
) -> None:
    browser = Client()

    def both() -> str:
        member = make_member(site.tenant, Role.ORG_OWNER)
        with scope.organization(other_site.tenant.id):
            Membership.objects.create(
                organization=other_site.tenant.organization, user=member.user, role=Role.ORG_OWNER
            )
        browser.force_login(member.user)
        browser.post("/admin/organization/", {"organization": str(site.tenant.id)})
        return f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"

    cookie = await scripted.in_thread(both)
    async with opened(cloud, cookie, "after=0") as socket:
        await scripted.in_thread(
            lambda: browser.post("/admin/organization/", {"organization": str(other_site.tenant.id)})
        )
        await scripted.in_thread(lambda: tell(site, place, seq=1))
        async with asyncio.timeout(60):
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await socket.recv()  # A look that had begun before the choice may still tell: they own both.
        assert socket.close_code == 1012


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


@pytest.fixture
def untold() -> Iterator[None]:
    denials._told.forget()
    yield
    denials._told.forget()


@pytest.mark.parametrize(
    ("why", "code"), [("another tenant's run", "not_found"), ("no role", "forbidden"), ("another page", "forbidden")]
)
async def test_a_page_that_a_person_may_not_follow_is_told_to_the_audit(
    cloud: Cloud, site: Site, other_site: Site, run: RunSnapshot, make_member: MakeMember, untold: None, why: str,
    code: str,
) -> None:  # fmt: skip
    """As a page over HTTP is: in the chain of the organization that they look at."""
    asking = other_site if why == "another tenant's run" else site

    def person() -> Membership:
        member = make_member(asking.tenant, Role.ORG_OWNER)
        if why == "no role":
            with scope.organization(asking.tenant.id):
                Membership.objects.filter(pk=member.pk).update(status="disabled")
        return member

    member = await scripted.in_thread(person)
    cookie = await scripted.in_thread(lambda: cookie_of(member))
    for _ in range(2):
        with pytest.raises(websockets.InvalidStatus):
            origin = "http://evil.example" if why == "another page" else None
            async with opened(cloud, cookie, f"run={run.pk}", origin=origin):
                pass
    chain = INSTALLATION if why == "no role" else asking.tenant.id

    def denied() -> list[AuditEvent]:
        with scope.organization(chain):
            return list(AuditEvent.objects.filter(event_type="page:denied"))

    (event,) = await scripted.in_thread(denied)
    assert (event.actor_label, event.client_address) == (member.user.email, "127.0.0.1")
    assert event.details == {"code": code, "method": "WEBSOCKET", "path": f"{live.PATH}?run={run.pk}"}


async def test_nobody_is_told_of_who_is_not_signed_in(cloud: Cloud, run: RunSnapshot, untold: None) -> None:
    with pytest.raises(websockets.InvalidStatus):
        async with opened(cloud, "", f"run={run.pk}"):
            pass

    def denied() -> int:
        with scope.operator():
            return AuditEvent.objects.filter(event_type="page:denied").count()

    assert await scripted.in_thread(denied) == 0


async def ended(cloud: Cloud, cookie: str, run: RunSnapshot, end: Callable[[], None]) -> int | None:
    async with opened(cloud, cookie, f"run={run.pk}") as socket:
        await scripted.in_thread(end)
        async with asyncio.timeout(60):
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
        return socket.close_code


def removed(member: Membership) -> None:
    """By who is an owner."""
    with scope.organization(member.organization_id):
        system = system_principal(member.organization_id, label="a test")
        grant = authorization.authorize(system, Scope.MEMBERS_WRITE)
        memberships.membership_remove(grant=grant, membership_id=member.pk, expected_version=None)


def suspended(member: Membership) -> None:
    with scope.organization(member.organization_id):
        system = system_principal(member.organization_id, label="a test")
        organizations.organization_suspend(
            grant=authorization.authorize(system, Scope.ORGANIZATION_WRITE), expected_version=None
        )


def bound_elsewhere(member: Membership) -> None:
    """They keep their role, and lose the project."""
    with scope.organization(member.organization_id):
        main = Workspace.objects.get()
        other, _ = tenancy.project_ensure(workspace=main, name="other", actor=None)
        system = system_principal(member.organization_id, label="a test")
        grant = authorization.authorize(system, Scope.MEMBERS_WRITE)
        post = Post(role=Role.PROJECT_OPERATOR, project_ids=[other.pk])
        memberships.membership_change(grant=grant, membership_id=member.pk, post=post, expected_version=None)


def deactivated(member: Membership) -> None:
    User.objects.filter(pk=member.user_id).update(is_active=False)


def given_another_password(member: Membership) -> None:
    member.user.set_password("another long password")
    member.user.save()


def signed_out(member: Membership) -> None:
    """As Django does it: the session goes."""
    Session.objects.all().delete()


@pytest.mark.parametrize("end", [removed, suspended, bound_elsewhere, deactivated, given_another_password, signed_out])
async def test_what_ends_a_person_ends_their_open_pages_at_once(
    cloud: Cloud, site: Site, run: RunSnapshot, make_member: MakeMember, end: Callable[[Membership], None]
) -> None:
    """Nothing happens in the feed meanwhile: that it ended is told by itself."""
    member = await scripted.in_thread(lambda: make_member(site.tenant, Role.ORG_ADMIN))
    cookie = await scripted.in_thread(lambda: cookie_of(member))
    assert await ended(cloud, cookie, run, lambda: end(member)) == 4401


async def test_signing_out_in_the_browser_ends_the_pages_of_that_session_only(
    cloud: Cloud, site: Site, run: RunSnapshot, place: Location, make_member: MakeMember
) -> None:
    member = await scripted.in_thread(lambda: make_member(site.tenant, Role.ORG_OWNER))
    browser, elsewhere = Client(), await scripted.in_thread(lambda: cookie_of(member))

    def sign_in() -> str:
        browser.force_login(member.user)
        return f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"

    cookie = await scripted.in_thread(sign_in)
    async with opened(cloud, elsewhere, f"run={run.pk}") as other:
        assert await ended(cloud, cookie, run, lambda: browser.post("/admin/logout/")) == 4401
        await scripted.in_thread(lambda: tell(site, place, seq=1))
        assert len(await told(other)) == 1


async def test_another_projects_events_are_not_told_to_who_is_bound_to_one(
    cloud: Cloud, site: Site, run: RunSnapshot, place: Location, make_member: MakeMember
) -> None:
    def bound() -> str:
        with scope.organization(site.tenant.id):
            other, _ = tenancy.project_ensure(workspace=site.tenant.workspace, name="other", actor=None)
        return cookie_of(make_member(site.tenant, Role.PROJECT_VIEWER, project=other))

    cookie = await scripted.in_thread(bound)
    with pytest.raises(websockets.InvalidStatus):
        async with opened(cloud, cookie, f"run={run.pk}"):
            pass
    async with opened(cloud, cookie, "after=0") as socket:
        await scripted.in_thread(lambda: tell(site, place, seq=1))
        # Not even that something happened there; but the fleet is the organization's.
        async with cloud.connected(site):
            assert await told(socket) == []
