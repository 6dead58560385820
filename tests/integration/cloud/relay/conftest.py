"""A serving cloud in this very process, on a real socket, over a real database; and what planners and machines need."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from django.conf import settings

from cloud.config import database_url
from cloud.connectors.models import Connector
from cloud.limits import services as limits
from cloud.limits import standings
from cloud.limits.allowances import Allowance
from cloud.permissions.roles import Role
from cloud.tenancy import scope, threads
from deploy.stack.local import ROOT
from local_daemon.protocol.envelopes import Advertise
from tests.integration import serving
from tests.integration.cloud.conftest import MakeConnector, MakeMember, MakeToken
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.tenants import Tenant
from tests.integration.warmed import Warmed


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A tenant with a machine and a planner's token."""

    tenant: Tenant
    machine: Machine
    connector: Connector
    shares: Advertise
    token: str

    @property
    def project_id(self) -> str:
        return str(self.tenant.project.id)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def repository_id(self) -> str:
        return self.shares.repositories[0].repository_id


MakeSite = Callable[[Tenant], Site]


@pytest.fixture
def make_site(
    transactional_db: None, make_connector: MakeConnector, make_member: MakeMember, make_token: MakeToken
) -> MakeSite:
    def make(tenant: Tenant) -> Site:
        machine = Machine()
        connector = make_connector(tenant, machine)
        _, token = make_token(make_member(tenant, Role.ORG_OWNER))
        return Site(
            tenant=tenant,
            machine=machine,
            connector=connector,
            shares=machine.advertisement(tenant.organization.name),
            token=token,
        )

    return make


@pytest.fixture
def site(transactional_db: None, acme: Tenant, make_site: MakeSite) -> Site:
    return make_site(acme)


@pytest.fixture
def other_site(transactional_db: None, globex: Tenant, make_site: MakeSite) -> Site:
    return make_site(globex)


@pytest.fixture
def limited(site: Site) -> Iterator[Site]:
    """The site's organization may make two calls."""
    with scope.organization(site.tenant.id):
        limits.organization_limits_set(
            organization_id=site.tenant.id,
            allowance=Allowance(calls_per_minute=1, calls_burst=2),
            actor=site.tenant.principal(),
        )
    yield site
    standings.standings_forget()


@pytest.fixture(autouse=True)
def close_database_threads(transactional_db: None) -> Iterator[None]:
    """Their connections would outlive the test's tables."""
    yield
    threads.close_all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A serving cloud."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, headers: Mapping[str, str] | None = None, *, path: str = "", **settings: Any) -> httpx.AsyncClient:
        """An HTTP client, as patient with a busy machine as the tests are."""
        return httpx.AsyncClient(base_url=f"{self.url}{path}", headers=headers, timeout=60, trust_env=False, **settings)

    def planner(self, site: Site, **settings: Any) -> httpx.AsyncClient:
        """A client with the site's token, below its project."""
        return self.client(site.headers, path=f"/api/v2/projects/{site.project_id}", **settings)

    @asynccontextmanager
    async def connected(
        self, site: Site, *, answering: scripted.Answering = scripted.answer_ok
    ) -> AsyncIterator[scripted.ScriptedConnector]:
        """The site's machine, linked and sharing its repository."""
        async with scripted.connected(
            self.port, str(site.connector.id), site.machine, shares=site.shares, answering=answering
        ) as connector:
            yield connector


@pytest.fixture
def application(transactional_db: None) -> Any:
    """The serving process's application; importing it looks at the database, so it is not imported above."""
    from cloud.config import asgi

    return asgi.application


@pytest.fixture
async def cloud(application: Any) -> AsyncIterator[Cloud]:
    config = uvicorn.Config(
        application,
        host="127.0.0.1",
        port=0,
        lifespan="on",
        ws="websockets-sansio",
        log_level="warning",
        # Its own belief in headers, of which ours must know.
        proxy_headers=False,
    )
    async with serving.serving(config) as server:
        yield Cloud(port=server.servers[0].sockets[0].getsockname()[1])


def _environment() -> dict[str, str]:
    """Another serving process's, on the same database."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "cloud.config.settings.local",
        "DATABASE_URL": database_url.url_from_database({**settings.DATABASES["default"], "OPTIONS": {}}),
    }


@pytest.fixture(scope="session")
def warmed(django_db_setup: None) -> Iterator[Warmed]:
    """What every serving process imports before it looks at its database."""
    ready = ("django:setup", "cloud.config.urls", "cloud.config.relay_mounts", "cloud.config.probe_mounts")
    with Warmed(*ready, env=_environment(), cwd=ROOT) as opened:
        yield opened


def _daphne(handle: int) -> list[str]:
    return ["daphne", "--fd", str(handle), "-v", "0", "cloud.config.asgi:application"]


@pytest.fixture
async def elsewhere(application: object, warmed: Warmed) -> AsyncIterator[Cloud]:
    """Another serving process, under daphne, on the same database."""
    with socket.create_server(("127.0.0.1", 0)) as listening, open(os.devnull, "rb") as nothing:
        port = listening.getsockname()[1]
        started = warmed.start(*_daphne(3), files=[nothing.fileno(), 1, 2, listening.fileno()])
    try:
        yield await _serving(port)
    finally:
        os.kill(started.pid, signal.SIGTERM)
        assert started.wait() == 0


@pytest.fixture
async def started_elsewhere(application: object) -> AsyncIterator[Cloud]:
    """The same, started as an installation starts it, with the environment as the test has made it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port, handle = listening.getsockname()[1], listening.fileno()
        command = [sys.executable, "-m", *_daphne(handle)]
        process = subprocess.Popen(command, cwd=ROOT, env=_environment(), pass_fds=[handle])
    with process:
        try:
            yield await _serving(port)
        finally:
            process.terminate()


async def _serving(port: int) -> Cloud:
    """Its socket takes connections before it serves: whoever asks then is answered once it does."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as waiting:
        (await waiting.get(f"http://127.0.0.1:{port}/livez")).raise_for_status()
    return Cloud(port=port)
