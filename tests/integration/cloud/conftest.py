"""What tests of the cloud share: a real database of the session's own, and tenants to work with.

The database is made and migrated as the owner and used as the application, as in production: row-level security holds
in every test."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from psycopg import sql
from pytest_django.plugin import DjangoDbBlocker

from cloud.config import database_url
from cloud.tenancy import scope, services, threads
from tests.integration.cloud.tenants import Tenant

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
        yield
        threads.close_all()
        connections.close_all()
    with psycopg.connect(_owner_url("postgres"), autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


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

    def make(name: str) -> Tenant:
        organization, _ = services.organization_ensure(name=name)
        with scope.organization(organization.id):
            workspace, _ = services.workspace_ensure(organization_id=organization.id, name="main", actor=None)
            project, _ = services.project_ensure(workspace=workspace, name=f"{name} project", actor=None)
        return Tenant(organization=organization, workspace=workspace, project=project)

    return make


@pytest.fixture
def acme(make_tenant: Callable[[str], Tenant]) -> Tenant:
    """The tenant most tests speak for."""
    return make_tenant("Acme")


@pytest.fixture
def globex(make_tenant: Callable[[str], Tenant]) -> Tenant:
    """The other tenant, whose rows must never be seen."""
    return make_tenant("Globex")
