"""Proves, by looking at the database, that every tenant table has its fence, and that the proof sees its loss."""

from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings
from django.db import models

from cloud.config import database_url
from cloud.tenancy import database_roles, privileges
from cloud.tenancy.models import Organization
from tests.integration.cloud.everything import tenant_models

_FENCE = """
    SELECT c.relrowsecurity, c.relforcerowsecurity,
           pg_get_userbyid(c.relowner) <> %(app)s,
           EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant' AND p.polcmd = '*'
                   AND p.polroles = '{0}' AND p.polwithcheck IS NOT NULL
                   AND pg_get_expr(p.polqual, p.polrelid) LIKE '%%app.organization_id%%'
                   AND pg_get_expr(p.polwithcheck, p.polrelid) = pg_get_expr(p.polqual, p.polrelid)),
           NOT EXISTS (SELECT 1 FROM pg_policy p CROSS JOIN unnest(p.polroles) role
                        WHERE p.polrelid = c.oid AND p.polname <> 'tenant' AND p.polpermissive
                          AND (role = 0 OR pg_has_role(%(app)s, role, 'USAGE')))
      FROM pg_class c WHERE c.oid = %(table)s::regclass
"""
_CROSSING = """
    SELECT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.contype = 'f' AND k.conrelid = %(table)s::regclass
                   AND k.confrelid = %(target)s::regclass
                   AND %(column)s = ANY (SELECT attname FROM pg_attribute
                                          WHERE attrelid = k.conrelid AND attnum = ANY (k.conkey))
                   AND 'organization_id' = ANY (SELECT attname FROM pg_attribute
                                                 WHERE attrelid = k.conrelid AND attnum = ANY (k.conkey)))
"""


def tenant_references() -> list[tuple[type[models.Model], models.ForeignKey]]:
    tenants = [model for model in tenant_models() if model is not Organization]
    return [
        (model, field)
        for model in tenants
        for field in model._meta.fields
        if isinstance(field, models.ForeignKey) and field.related_model in tenants
    ]


@pytest.fixture
def owner(django_db_setup: None) -> Iterator[psycopg.Connection]:
    """The owner's connection, in a transaction that is rolled back."""
    with psycopg.connect(database_url.url_from_database(settings.DATABASES["owner"])) as connection:
        yield connection
        connection.rollback()


def fence_of(owner: psycopg.Connection, table: str) -> tuple[bool, ...] | None:
    app = settings.DATABASES["default"]["USER"]
    return owner.execute(_FENCE, {"table": table, "app": app}).fetchone()


@pytest.mark.parametrize("model", tenant_models(), ids=lambda model: model.__name__)
def test_every_tenant_table_is_fenced(owner: psycopg.Connection, model: type[models.Model]) -> None:
    found = fence_of(owner, model._meta.db_table)
    assert found == (True,) * 5, (
        f"{model._meta.db_table} lacks its fence: add row_security.EnableRowSecurity to its migration"
    )


@pytest.mark.parametrize("reference", tenant_references(), ids=lambda pair: f"{pair[0].__name__}.{pair[1].name}")
def test_every_reference_between_tenant_tables_carries_the_organization(
    owner: psycopg.Connection, reference: tuple[type[models.Model], models.ForeignKey]
) -> None:
    model, field = reference
    facts = {"table": model._meta.db_table, "column": field.column, "target": field.related_model._meta.db_table}
    assert owner.execute(_CROSSING, facts).fetchone() == (True,), (
        f"{facts} may point across tenants: add row_security.TenantForeignKey to its migration"
    )


@pytest.mark.parametrize(
    "mutation",
    [
        "ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON {table}",
        "CREATE POLICY extra ON {table} USING (true)",
        "CREATE POLICY extra ON {table} TO {app} USING (true)",
        "ALTER POLICY tenant ON {table} WITH CHECK (true)",
        "ALTER POLICY tenant ON {table} USING (true)",
        "ALTER POLICY tenant ON {table} TO {operator}",
    ],
)
@pytest.mark.parametrize(
    "table", ["tenancy_project", "tenancy_membership", "tenancy_invitation", "connectors_presence"]
)
def test_the_proof_sees_each_way_to_lose_the_fence(owner: psycopg.Connection, table: str, mutation: str) -> None:
    assert fence_of(owner, table) == (True,) * 5
    app = f'"{settings.DATABASES["default"]["USER"]}"'
    owner.execute(mutation.format(table=table, app=app, operator=database_roles.OPERATOR))
    assert fence_of(owner, table) != (True,) * 5


def test_the_proof_sees_a_reference_that_may_cross(owner: psycopg.Connection) -> None:
    facts = {"table": "tenancy_invitation", "column": "workspace_id", "target": "tenancy_workspace"}
    assert owner.execute(_CROSSING, facts).fetchone() == (True,)
    owner.execute("ALTER TABLE tenancy_invitation DROP CONSTRAINT tenancy_invitation_workspace_id_tenant")
    assert owner.execute(_CROSSING, facts).fetchone() == (False,)


def test_no_view_and_no_function_goes_around_the_fence(owner: psycopg.Connection) -> None:
    """Whatever runs with its owner's rights reads past the fence: each is known, and reviewed."""
    found = owner.execute("SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace")
    assert {name for (name,) in found} == {
        "access_token_find",
        "audit_prune",
        "pending_connector_look",
        "pending_connector_take",
    }
    assert owner.execute("SELECT count(*) FROM pg_views WHERE schemaname = 'public'").fetchone() == (0,)


def test_waiting_machines_are_the_operators_only(owner: psycopg.Connection) -> None:
    found = owner.execute(
        "SELECT array_agg(pg_get_userbyid(role) ORDER BY 1) FROM pg_policy, unnest(polroles) role "
        "WHERE polrelid = 'connectors_pendingconnector'::regclass"
    ).fetchone()
    assert found == ([settings.DATABASES["owner"]["USER"], database_roles.OPERATOR],) or found == (
        [database_roles.OPERATOR, settings.DATABASES["owner"]["USER"]],
    )


@pytest.mark.parametrize("table", sorted(privileges.APPEND_ONLY))
@pytest.mark.parametrize("right", ["UPDATE", "DELETE"])
@pytest.mark.parametrize("role", ["app", "operator"])
def test_append_only_tables_take_no_other_right(owner: psycopg.Connection, table: str, right: str, role: str) -> None:
    name = database_roles.OPERATOR if role == "operator" else settings.DATABASES["default"]["USER"]
    assert owner.execute("SELECT has_table_privilege(%s, %s, %s)", [name, table, right]).fetchone() == (False,)
    assert owner.execute("SELECT has_table_privilege(%s, %s, 'INSERT')", [name, table]).fetchone() == (True,)


@pytest.mark.parametrize("table", sorted(privileges.APPEND_ONLY))
def test_append_only_tables_have_a_trigger_for_whoever_has_the_right(owner: psycopg.Connection, table: str) -> None:
    found = owner.execute(
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = 'append_only' AND tgenabled = 'O'",
        [table],
    ).fetchone()
    assert found == (1,)
