"""What tests of the cloud share: a real database of the session's own, and tenants to work with.

The database is made and migrated as the owner and used as the application, as in production: row-level security holds
in every test."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import timedelta

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from psycopg import sql
from pytest_django.plugin import DjangoDbBlocker

from cloud.access import authorization, selectors
from cloud.access import services as access
from cloud.access.models import Token
from cloud.config import database_url
from cloud.config.embedded_postgres import SUPERUSER, EmbeddedPostgres
from cloud.connectors import enrollment
from cloud.connectors.models import Connector
from cloud.tenancy import scope, threads
from cloud.tenancy.models import Membership
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud import emptying, tenants
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

MakeMember = Callable[..., Membership]
MakeToken = Callable[..., tuple[Token, str]]
MakeCode = Callable[..., str]
MakeConnector = Callable[..., Connector]

_PREFIX = "ropeway_test_"


def _owner_url(database: str) -> str:
    return database_url.url_from_database({**settings.DATABASES["owner"], "NAME": database})


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A database named after this process, so that sessions and workers side by side do not meet."""
    name = f"{_PREFIX}{os.getpid()}"
    with psycopg.connect(_owner_url("postgres"), autocommit=True) as server:
        _drop_databases_of_the_dead(server)
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    for alias in ("default", "owner"):
        settings.DATABASES[alias]["NAME"] = connections[alias].settings_dict["NAME"] = name
    with django_db_blocker.unblock():
        call_command("migrate", verbosity=0, interactive=False)
        with connections["owner"].cursor() as cursor:
            # Emptying tables between tests; the application has no such right elsewhere.
            cursor.execute(
                f'GRANT TRUNCATE ON ALL TABLES IN SCHEMA public TO "{settings.DATABASES["default"]["USER"]}"'
            )
        connections["owner"].close()
        with _emptying(name):
            yield
        threads.close_all()
        connections.close_all()
    with psycopg.connect(_owner_url("postgres"), autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def _emptying(database: str) -> AbstractContextManager[None]:
    if "DATABASE_URL" in os.environ:
        # Somebody else's server: of its superuser we know nothing.
        return nullcontext()
    server = EmbeddedPostgres(settings.VAR / "postgres")
    return emptying.emptying(server.url(role=SUPERUSER, database=database))


@pytest.fixture(autouse=True)
def threads_at_rest(_django_db_marker: None) -> Iterator[None]:
    """Nothing a test began in a database thread goes on while its rows are being removed."""
    yield
    if any(thread.name.startswith("ropeway-database") for thread in threading.enumerate()):
        threads.close_all()


def _drop_databases_of_the_dead(server: psycopg.Connection) -> None:
    """Remove what killed sessions left behind."""
    found = server.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{_PREFIX}%"]).fetchall()
    for (name,) in found:
        try:
            os.kill(int(name.removeprefix(_PREFIX)), 0)
        except ProcessLookupError:
            with suppress(psycopg.Error):
                server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


@pytest.fixture
def make_tenant(db: None) -> Callable[[str], Tenant]:
    """Makes a tenant by name."""
    return tenants.tenant_make


@pytest.fixture
def acme(make_tenant: Callable[[str], Tenant]) -> Tenant:
    """The tenant most tests speak for."""
    return make_tenant("Acme")


@pytest.fixture
def globex(make_tenant: Callable[[str], Tenant]) -> Tenant:
    """The other tenant, whose rows must never be seen."""
    return make_tenant("Globex")


@pytest.fixture
def make_member(db: None) -> MakeMember:
    """Makes a person with a role in a tenant, or in one workspace or project of it."""
    return tenants.member_make


@pytest.fixture
def make_token(db: None) -> MakeToken:
    """A member's token with all that the member may do, or only some of it."""

    def make(member: Membership, *scopes: Scope, **facts: object) -> tuple[Token, str]:
        with scope.organization(member.organization_id):
            maker = selectors.user_principal(member.user, organization_id=member.organization_id)
            grant = authorization.authorize(maker, Scope.TOKENS_WRITE)
            return access.token_mint(grant=grant, name="planner", scopes=scopes or maker.scopes, **facts)  # type: ignore[arg-type]

    return make


@pytest.fixture
def make_code(db: None) -> MakeCode:
    """An enrollment code's text for a tenant's project."""

    def make(tenant: Tenant, *, ttl: timedelta = timedelta(hours=1)) -> str:
        with scope.organization(tenant.id):
            grant = authorization.authorize(tenant.principal(), Scope.CONNECTORS_WRITE, project_id=tenant.project.id)
            _, code = enrollment.enrollment_code_create(grant=grant, ttl=ttl)
        return code

    return make


@pytest.fixture
def make_connector(make_code: MakeCode) -> MakeConnector:
    """A machine enrolled into a tenant's project."""

    def make(tenant: Tenant, machine: Machine | None = None) -> Connector:
        return enrollment.connector_enroll(**(machine or Machine()).enroll_request(make_code(tenant)))

    return make
