"""Backup and restore as docs/admins.md says it: with PostgreSQL's own programs, under row-level security.

Dumped from the server that the tests use, restored on another one, as after the loss of a machine: what is fenced stays
fenced, chains hold, tokens work. PostgreSQL's programs are those of the embedded server's package."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.conf import settings
from psycopg import sql

from cloud.access import authentication
from cloud.audit import seal
from cloud.config import database_url, embedded_postgres
from cloud.config.embedded_postgres import EmbeddedPostgres
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from deploy.stack.local import ROOT
from tests.integration.cloud.conftest import MakeConnector, MakeMember, MakeToken
from tests.integration.cloud.everything import everything_make, owner_column, tenant_models
from tests.integration.cloud.tenants import Tenant

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        "DATABASE_URL" in os.environ,
        reason="A role that bypasses row-level security is made by a superuser: unset DATABASE_URL.",
    ),
]

BACKUP_ROLE = "ropeway_backup"
# docs/admins.md, Backup and restore.
MAKE_ROLE = f"CREATE ROLE {BACKUP_ROLE} LOGIN BYPASSRLS; GRANT pg_read_all_data TO {BACKUP_ROLE}"


def program(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One of PostgreSQL's."""
    command = [str(embedded_postgres._binaries() / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def source_url(role: str) -> str:
    return database_url.url_from_database({**settings.DATABASES["owner"], "USER": role})


@pytest.fixture(scope="module")
def backup_role(django_db_setup: None) -> None:
    with psycopg.connect(source_url("postgres"), autocommit=True) as server:
        if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [BACKUP_ROLE]).fetchone():
            server.execute(MAKE_ROLE)


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What was there when the backup was made."""

    acme: Tenant
    globex: Tenant
    secret: str
    counts: dict[str, int]


def counts_of(url: str) -> dict[str, int]:
    """How many rows each of our tables has, behind every fence."""
    with psycopg.connect(url) as connection:
        return {
            table: connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()[0]  # type: ignore[index]
            for table in sorted(model._meta.db_table for model in apps.get_models())
        }


@pytest.fixture
def filled(
    backup_role: None,
    acme: Tenant,
    globex: Tenant,
    make_tenant: Any,
    make_member: MakeMember,
    make_token: MakeToken,
    make_connector: MakeConnector,
) -> Filled:
    """Two tenants with sealed chains, and one with a row in every table there is."""
    _, secret = make_token(make_member(acme, Role.ORG_OWNER))
    make_token(make_member(globex, Role.ORG_OWNER))
    for tenant in (acme, globex):
        make_connector(tenant)
        with scope.organization(tenant.id):
            seal.organization_seal_all(tenant.id, is_complete=True)
    everything_make(make_tenant("Initech"))
    return Filled(acme=acme, globex=globex, secret=secret, counts=counts_of(source_url(BACKUP_ROLE)))


@dataclass(frozen=True, kw_only=True)
class Restored:
    """The database on another server."""

    server: EmbeddedPostgres
    app: str
    superuser: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A Python of an installation that uses it, with the keys of before."""
        env = {
            **os.environ,
            "DATABASE_URL": self.app,
            "ROPEWAY_VAR": str(settings.VAR),
            "DJANGO_SETTINGS_MODULE": "cloud.config.settings.worker",
        }
        return subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
        )

    def cloudctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "cloud.cloudctl.main", *arguments)


@pytest.fixture(scope="module")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("restored") / "postgres", durable=False)
    with server.borrowed():
        yield server


@pytest.fixture
def restored(filled: Filled, other_server: EmbeddedPostgres, tmp_path: Path) -> Iterator[Restored]:
    """As after the loss of a machine: a new server, its roles and an empty database made, then the dump."""
    dump = tmp_path / "ropeway.dump"
    dumped = program("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={source_url(BACKUP_ROLE)}")
    assert dumped.returncode == 0, dumped.stderr
    urls = other_server.ensure_database("ropeway")
    superuser = other_server.url(role="postgres", database="ropeway")
    done = program("pg_restore", "--exit-on-error", "--single-transaction", f"--dbname={superuser}", dump)
    assert done.returncode == 0, done.stderr
    yield Restored(server=other_server, app=urls.app, superuser=superuser)
    with psycopg.connect(other_server.url(role="postgres", database="postgres"), autocommit=True) as server:
        server.execute("DROP DATABASE ropeway WITH (FORCE)")


@pytest.mark.parametrize("role", ["app", "owner"])
def test_who_is_bound_by_the_fence_dumps_nothing_and_is_told(filled: Filled, role: str, tmp_path: Path) -> None:
    name = settings.DATABASES["default" if role == "app" else "owner"]["USER"]
    dumped = program("pg_dump", "--format=custom", f"--file={tmp_path / 'x'}", f"--dbname={source_url(name)}")
    assert dumped.returncode != 0
    assert "row-level security" in dumped.stderr or "permission denied" in dumped.stderr


def test_a_dump_made_within_the_fence_holds_no_tenant(filled: Filled) -> None:
    """`--enable-row-security` makes pg_dump go through, and leaves out every tenant: no backup."""
    app = source_url(settings.DATABASES["default"]["USER"])
    dumped = program("pg_dump", "--enable-row-security", "--data-only", "--table=tenancy_project", f"--dbname={app}")
    assert dumped.returncode == 0, dumped.stderr
    assert str(filled.acme.project.id) not in dumped.stdout


def test_every_row_comes_back_and_every_fence_with_it(filled: Filled, restored: Restored) -> None:
    assert counts_of(restored.superuser) == filled.counts
    told = json.loads(restored.cloudctl("doctor", "--json").stdout)
    found = {finding["name"]: (finding["level"], finding["detail"]) for finding in told["findings"]}
    names = ("database role", "row-level security", "migrations")
    assert {found[name][0] for name in names} == {"ok"}, found
    with psycopg.connect(restored.app, autocommit=True) as connection:
        for model in tenant_models():
            table, column = sql.Identifier(model._meta.db_table), sql.Identifier(owner_column(model))
            query = sql.SQL("SELECT count(*), count(DISTINCT {}) FROM {}").format(column, table)
            assert connection.execute(query).fetchone() == (0, 0), model
            with connection.transaction():
                connection.execute("SELECT set_config('app.organization_id', %s, true)", [str(filled.acme.id)])
                assert connection.execute(query).fetchone()[1] <= 1, model  # type: ignore[index]


def test_rights_triggers_and_sequences_come_back(filled: Filled, restored: Restored) -> None:
    with psycopg.connect(restored.superuser, autocommit=True) as connection:
        for statement in ("UPDATE audit_auditevent SET outcome = 'ok'", "DELETE FROM audit_auditseal"):
            with pytest.raises(psycopg.errors.RestrictViolation):
                connection.execute(statement)
        serials = connection.execute(
            "SELECT c.relname, a.attname, pg_get_serial_sequence(quote_ident(c.relname), a.attname) "
            "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relkind = 'r' AND NOT a.attisdropped "
            "AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 "
            "AND pg_get_serial_sequence(quote_ident(c.relname), a.attname) IS NOT NULL"
        ).fetchall()
        assert serials
        for table, column, sequence in serials:
            names = {
                "table": sql.Identifier(table),
                "column": sql.Identifier(column),
                "sequence": sql.Literal(sequence),
            }
            query = sql.SQL("SELECT nextval({sequence}) > COALESCE(max({column}), 0) FROM {table}").format(**names)
            assert connection.execute(query).fetchone() == (True,), sequence
    with psycopg.connect(restored.app) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM audit_auditevent")


def test_chains_hold_and_go_on_and_tokens_work(filled: Filled, restored: Restored) -> None:
    for slug in ("acme", "globex"):
        verified = restored.cloudctl("audit", "verify", "--organization", slug, "--json")
        assert verified.returncode == 0, verified.stdout
    principal = authentication.authenticate_bearer(filled.secret)
    script = (
        "import django; django.setup(); from cloud.access import authentication; "
        f"print(authentication.authenticate_bearer({filled.secret!r}).id)"
    )
    done = restored.run("-c", script)
    assert done.stdout.strip() == str(principal.id), done.stderr
    made = restored.cloudctl("workspace", "create", "--organization", "acme", "--name", "After", "--json")
    assert made.returncode == 0, made.stderr
    # On another server transaction numbers begin anew, below what the chain's horizon says.
    sealed = (
        "import django; django.setup(); from uuid import UUID; "
        "from cloud.audit import seal; from cloud.tenancy import scope\n"
        f"org_id = UUID({str(filled.acme.id)!r})\n"
        "with scope.organization(org_id): print(seal.organization_seal(org_id))"
    )
    assert restored.run("-c", sealed).stdout.strip() == "1"
    told = json.loads(restored.cloudctl("audit", "verify", "--organization", "acme", "--json").stdout)
    assert (told["ok"], told["unsealed"]) == (True, 0)


def test_an_older_backup_verifies_by_itself_and_not_against_what_was_kept_elsewhere(
    filled: Filled, restored: Restored, tmp_path: Path
) -> None:
    kept = tmp_path / "checkpoints.jsonl"
    kept.write_text(restored.cloudctl("audit", "checkpoint", "--organization", "acme").stdout)
    against = ("audit", "verify", "--organization", "acme", "--checkpoints", str(kept), "--json")
    assert restored.cloudctl(*against).returncode == 0
    with psycopg.connect(restored.superuser, autocommit=True) as connection:
        # What the loss of the newest events looks like: the chain's end is gone, with its checkpoints.
        connection.execute("SET session_replication_role = replica")
        for table in ("audit_auditseal", "audit_auditcheckpoint"):
            query = sql.SQL("DELETE FROM {} WHERE organization_id = %s AND seq > 2").format(sql.Identifier(table))
            connection.execute(query, [filled.acme.id])
        connection.execute(
            "DELETE FROM audit_auditevent e WHERE organization_id = %s "
            "AND NOT EXISTS (SELECT FROM audit_auditseal s WHERE s.event_id = e.id)", [filled.acme.id]
        )  # fmt: skip
    assert restored.cloudctl("audit", "verify", "--organization", "acme", "--json").returncode == 0
    told = restored.cloudctl(*against)
    assert told.returncode == 1
    (report,) = json.loads(told.stdout)["organizations"]
    assert "this database is older than that" in report["first_bad"]


def test_an_owner_without_a_superuser_restores_too(
    filled: Filled, other_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    """As where somebody else runs the server: `--no-owner`, by the role that owns the tables."""
    dump = tmp_path / "ropeway.dump"
    assert program("pg_dump", "-Fc", f"--file={dump}", f"--dbname={source_url(BACKUP_ROLE)}").returncode == 0
    urls = other_server.ensure_database("ropeway_managed")
    done = program("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={urls.owner}", dump)
    assert done.returncode == 0, done.stderr
    assert counts_of(other_server.url(role="postgres", database="ropeway_managed")) == filled.counts
