"""Every websocket that is served × every frame it takes or tells, tried with each role's credentials.

The sockets are read from the mounts and the frames from the wire's own table, so one that is added tomorrow is tried
tomorrow; what is expected stands in tests/contract/permissions.csv. On a page's socket one's role decides; on a
machine's nobody's session and token count, only the machine's own key."""

import base64
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, get_args

import pytest
import websockets
from django.conf import settings

from cloud.config import mounts
from cloud.console import live
from cloud.console.live import Asked
from cloud.permissions.roles import Role
from cloud.runs.models import RunEvent, RunSnapshot
from cloud.tenancy import scope
from cloud.tenancy import services as tenancy
from cloud.tenancy.models import Project
from local_daemon.protocol import envelopes, events, ids
from relay import consumers
from tests.contract import permissions
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.relay.test_deciding import _located
from tests.integration.cloud.relay.test_live import cookie_of, now, opened

PREFIX = "frame "
CALL, LOG = ids.new_id(ids.IdPrefix.CALL), ids.new_id(ids.IdPrefix.LOG)
FRAMES = get_args(envelopes.Frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a person holds who is signed in, and has a token."""

    cookie: str
    token: str

    @property
    def session_key(self) -> str:
        return self.cookie.removeprefix(f"{settings.SESSION_COOKIE_NAME}=")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Whose credentials there are, and a run here and beside."""

    credentials: dict[str, Credentials]
    runs: dict[str, RunSnapshot]


@pytest.fixture
def world(site: Site, other_site: Site, make_member: MakeMember, make_token: MakeToken) -> World:
    tenant = site.tenant
    with scope.organization(tenant.id):
        elsewhere, _ = tenancy.workspace_ensure(organization_id=tenant.id, name="elsewhere", actor=None)
        foreign, _ = tenancy.project_ensure(workspace=elsewhere, name="foreign", actor=None)
    people = {
        Role.ORG_OWNER: make_member(tenant, Role.ORG_OWNER),
        Role.ORG_ADMIN: make_member(tenant, Role.ORG_ADMIN),
        Role.WORKSPACE_ADMIN: make_member(tenant, Role.WORKSPACE_ADMIN, workspace=tenant.workspace),
        Role.PROJECT_OPERATOR: make_member(tenant, Role.PROJECT_OPERATOR, project=tenant.project),
        Role.PROJECT_VIEWER: make_member(tenant, Role.PROJECT_VIEWER, project=tenant.project),
        permissions.OTHER_OWNER: make_member(other_site.tenant, Role.ORG_OWNER),
    }
    credentials = {}
    for who, member in people.items():
        # A viewer can mint none; what they hold was minted before they were one.
        token = "" if who == Role.PROJECT_VIEWER else make_token(member)[1]
        credentials[who] = Credentials(cookie=cookie_of(member), token=token)
    place = _located(site)
    runs = {"here": _run(site, place, tenant.project, "2"), "beside": _run(site, place, foreign, "3")}
    return World(credentials=credentials, runs=runs)


def _run(site: Site, place: Any, project: Project, digit: str) -> RunSnapshot:
    """A run of a project, and an event of it."""
    run_id = "run_" + digit * 26
    with scope.organization(site.tenant.id):
        row = RunSnapshot.objects.create(
            organization_id=site.tenant.id, project_id=project.id, location=place, run_id=run_id, as_of=now(), seq=1,
            view={}, state="open", title="a run",
        )  # fmt: skip
        RunEvent.objects.create(
            organization_id=site.tenant.id, project_id=project.id, location=place, log_id=LOG, seq=int(digit),
            event_type="run.changed", at=now(), run_id=run_id, record={},
        )  # fmt: skip
    return row


async def console_lines(cloud: Cloud, _site: Site, world: World) -> AsyncIterator[permissions.Line]:
    """A page says nothing; it opens its socket for a run or for everything, and is told of events."""

    async def opening(query: str) -> dict[str, str]:
        return {who: await _opened(cloud, held.cookie, query) for who, held in world.credentials.items()}

    everything = await opening("")
    everything[permissions.OTHER_OWNER] = "own" if everything[permissions.OTHER_OWNER] == "allow" else "forbidden"
    yield _line(f"{live.PATH} open", "-", everything)
    for target, run in world.runs.items():
        yield _line(f"{live.PATH}?run open", target, await opening(f"run={run.pk}"))
        yield _line(
            f"{live.PATH} events", target, {who: await _told(held, run) for who, held in world.credentials.items()}
        )


async def _opened(cloud: Cloud, cookie: str, query: str) -> str:
    try:
        async with opened(cloud, cookie, query):
            return "allow"
    except websockets.InvalidStatus:
        return "not_found" if "run=" in query else "forbidden"


async def _told(held: Credentials, run: RunSnapshot) -> str:
    news = await scripted.in_thread(lambda: live.news_of(held.session_key, Asked(run=None, after=0)))
    return "allow" if run.run_id in {event["run_id"] for event in news.events} else "not_found"


def sample(kind: type, site: Site) -> envelopes.Frame:
    """A frame of each kind, about things that there are."""
    repository_id = site.repository_id
    samples: dict[type, Callable[[], envelopes.Frame]] = {
        envelopes.Hello: lambda: envelopes.Hello(versions=(1,), nonce=_nonce(), audience="127.0.0.1"),
        envelopes.Proof: lambda: envelopes.Proof(
            version=1,
            connector_id=str(site.connector.id),
            nonce=_nonce(),
            # Of a key that is not the machine's: nobody but the machine has that.
            signature=Machine().signed(b"whatever"),
        ),
        envelopes.Welcome: lambda: envelopes.Welcome(epoch=1, heartbeat_s=10, silence_s=30),
        envelopes.Advertise: lambda: site.shares,
        envelopes.Request: lambda: envelopes.Request(
            call_id=CALL, operation="runs.list", parameters={}, deadline_ms=1000
        ),
        envelopes.Response: lambda: envelopes.Response(call_id=CALL, status=200, body={}),
        envelopes.Credit: lambda: envelopes.Credit(call_id=CALL, limit=1),
        envelopes.End: lambda: envelopes.End(call_id=CALL, size_bytes=0, sha256="0" * 64),
        envelopes.Cancel: lambda: envelopes.Cancel(call_id=CALL),
        envelopes.Follow: lambda: envelopes.Follow(repository_id=repository_id, log_id=LOG, after_seq=0),
        envelopes.Events: lambda: envelopes.Events(
            repository_id=repository_id,
            log_id=LOG,
            records=(
                events.EventRecord(seq=1, type="run.changed", at=now(), data={}, prev_hash="0" * 64, hash="0" * 64),
            ),
        ),
        envelopes.Ack: lambda: envelopes.Ack(repository_id=repository_id, log_id=LOG, seq=1),
        envelopes.Heartbeat: envelopes.Heartbeat,
        envelopes.Goodbye: lambda: envelopes.Goodbye(code="internal"),
        envelopes.Chunk: lambda: envelopes.Chunk(call_id=CALL, offset=0, payload=b"x"),
    }
    return samples[kind]()


def _nonce() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


async def connector_lines(cloud: Cloud, site: Site, world: World) -> AsyncIterator[permissions.Line]:
    """Whoever dials in with a person's session and token, and says a frame where a machine proves its key."""
    for kind in FRAMES:
        frame = sample(kind, site)
        told = {who: await _answered(cloud, held, frame) for who, held in world.credentials.items()}
        yield _line(f"{consumers.PATH} {frame.type}", "here", told)


async def _answered(cloud: Cloud, held: Credentials, frame: envelopes.Frame) -> str:
    headers = {"Cookie": held.cookie, "Authorization": f"Bearer {held.token}"}
    url = f"ws://127.0.0.1:{cloud.port}{consumers.PATH}"
    async with websockets.connect(
        url, subprotocols=[websockets.Subprotocol(consumers.SUBPROTOCOL)], additional_headers=headers, proxy=None
    ) as socket:
        await socket.recv()
        await socket.send(envelopes.encode(frame))
        try:
            answer = envelopes.decode(await socket.recv())
        except websockets.ConnectionClosed:
            return "forbidden"
    return "forbidden" if isinstance(answer, envelopes.Goodbye) else "allow"


def _line(surface: str, target: str, told: dict[str, str]) -> permissions.Line:
    return (f"{PREFIX}{surface}", target, *(told[who] for who in permissions.ASKING))


LINES = {live.PATH: console_lines, consumers.PATH: connector_lines}


async def test_each_role_opens_and_says_on_sockets_what_was_reviewed(cloud: Cloud, site: Site, world: World) -> None:
    assert set(LINES) == set(mounts.WEBSOCKETS)
    permissions.hold(PREFIX, [line for lines_of in LINES.values() async for line in lines_of(cloud, site, world)])


@pytest.mark.parametrize("query", ["", "run"])
async def test_a_page_without_a_session_opens_no_socket(cloud: Cloud, world: World, query: str) -> None:
    with pytest.raises(websockets.InvalidStatus):
        async with opened(cloud, "", f"run={world.runs['here'].pk}" if query else ""):
            pass
