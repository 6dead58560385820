"""An installation of the first release is migrated with what is in it, and may go back."""

import os
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings
from psycopg import sql

from cloud.config import database_url

BEFORE = ("connectors 0002", "access 0001", "tenancy 0002")
NEWEST = ""
# In one process: starting one takes longer than most migrations.
MIGRATE = """
import sys
import django
from django.core.management import call_command
django.setup()
for target in sys.argv[1:]:
    call_command("migrate", *target.split(), verbosity=0)
"""
OLD_ROWS = """
    ALTER TABLE tenancy_organization NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE tenancy_workspace NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE tenancy_project NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE access_token NO FORCE ROW LEVEL SECURITY;
    INSERT INTO accounts_user (id, email, password, full_name, is_active, is_staff, is_superuser, created_at)
    VALUES (uuid(1), 'one@example.com', '', '', true, true, false, now());
    INSERT INTO tenancy_organization (id, slug, name, status, created_at) VALUES (uuid(2), 'o', 'O', 'active', now());
    INSERT INTO tenancy_workspace (id, organization_id, slug, name, status, created_at)
    VALUES (uuid(3), uuid(2), 'w', 'W', 'disabled', now());
    INSERT INTO tenancy_project (id, organization_id, workspace_id, slug, name, status, created_at)
    VALUES (uuid(4), uuid(2), uuid(3), 'p', 'P', 'active', now());
    INSERT INTO tenancy_membership (id, organization_id, user_id, workspace_id, project_id, role, status, created_at)
    VALUES (uuid(5), uuid(2), uuid(1), NULL, uuid(4), 'project_viewer', 'active', now() - interval '1 day'),
           (uuid(6), uuid(2), uuid(1), uuid(3), NULL, 'workspace_admin', 'active', now() - interval '1 day');
    INSERT INTO access_token (id, organization_id, membership_id, name, prefix, digest, scopes, project_ids, created_at)
    VALUES (uuid(7), uuid(2), uuid(5), 't', 'rw_', 'd', '{runs:read}', ARRAY[uuid(4)], now() - interval '1 hour');
    ALTER TABLE tenancy_organization FORCE ROW LEVEL SECURITY;
    ALTER TABLE tenancy_workspace FORCE ROW LEVEL SECURITY;
    ALTER TABLE tenancy_project FORCE ROW LEVEL SECURITY;
    ALTER TABLE access_token FORCE ROW LEVEL SECURITY;
"""


@pytest.fixture
def database(django_db_setup: None) -> Iterator[str]:
    """The owner's URL of an empty database."""
    name = f"ropeway_migrated_{os.getpid()}"
    with psycopg.connect(_url("owner", "postgres"), autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield name
        server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def _url(alias: str, name: str) -> str:
    return database_url.url_from_database({**settings.DATABASES[alias], "NAME": name})


def migrate(name: str, *targets: str) -> None:
    """Migrate to each of these in turn, an app and a number each, or the newest of all."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "cloud.config.settings.local",
        "ROPEWAY_VAR": str(settings.VAR),
        "DATABASE_URL": _url("default", name),
        "DATABASE_OWNER_URL": _url("owner", name),
    }
    done = subprocess.run(
        [sys.executable, "-c", MIGRATE, *targets],
        env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_what_the_first_release_wrote_is_there_after_it(database: str) -> None:
    migrate(database, *BEFORE)
    with psycopg.connect(_url("owner", database), autocommit=True) as owner:
        owner.execute(
            "CREATE FUNCTION uuid(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS "
            "$$ SELECT lpad(to_hex(n), 32, '0')::uuid $$"
        )
        for statement in OLD_ROWS.split(";"):
            owner.execute(statement)
    migrate(database, NEWEST)
    with psycopg.connect(_url("owner", database), autocommit=True) as owner:
        found = owner.execute("SELECT status, is_workspace_active FROM tenancy_project").fetchone()
        assert found == ("active", False)
        members = owner.execute("SELECT id = uuid(6), role, version, active_since = created_at FROM tenancy_membership")
        assert members.fetchall() == [(True, "workspace_admin", 1, True)], "one a person: the widest"
        (token,) = owner.execute("SELECT * FROM access_token_find('d')").fetchall()
        assert token[3] == "personal"
        assert owner.execute("SELECT membership_id = uuid(6), is_member FROM access_token_find('d')").fetchone() == (
            True,
            True,
        )
    migrate(database, *BEFORE, NEWEST)
