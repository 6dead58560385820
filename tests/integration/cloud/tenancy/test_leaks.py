"""Row-level security alone keeps tenants apart: nothing leaks with the application's own filters switched off."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.db.models import QuerySet
from pytest_django.plugin import DjangoDbBlocker

from cloud.access import authorization
from cloud.access import selectors as access
from cloud.connectors import presence
from cloud.connectors import selectors as connectors
from cloud.permissions.roles import Role
from cloud.tenancy import scope, selectors
from cloud.tenancy.models import Organization
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.everything import everything_make, owner_column, tenant_models
from tests.integration.cloud.tenants import Tenant, member_make, tenant_make

PAGES: list[Callable[..., Any]] = [
    selectors.workspace_page,
    selectors.project_page,
    selectors.membership_page,
    selectors.invitation_page,
    access.token_page,
    connectors.connector_page,
    connectors.instance_page,
    connectors.location_page,
    connectors.enrollment_code_page,
]


@pytest.fixture(scope="module")
def both(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[tuple[Tenant, Tenant]]:
    with django_db_blocker.unblock(), transaction.atomic():
        acme, globex = tenant_make("Acme"), tenant_make("Globex")
        for tenant in (acme, globex):
            member_make(tenant, Role.ORG_OWNER)
            everything_make(tenant)
        yield acme, globex
        transaction.set_rollback(True)


@pytest.fixture
def furnished(both: tuple[Tenant, Tenant]) -> Iterator[tuple[Tenant, Tenant]]:
    """Both tenants, as they were made: what a test changes is undone."""
    with transaction.atomic():
        yield both
        transaction.set_rollback(True)


@pytest.fixture
def unfiltered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ORM forgets every condition that anybody sets."""
    monkeypatch.setattr(QuerySet, "filter", lambda rows, *_args, **_kwargs: rows.all())
    monkeypatch.setattr(QuerySet, "exclude", lambda rows, *_args, **_kwargs: rows.all())


@pytest.mark.parametrize("model", tenant_models(), ids=lambda model: model.__name__)
def test_a_tenant_reads_its_own_rows_only(furnished: tuple[Tenant, Tenant], model: type[models.Model]) -> None:
    acme, globex = furnished
    column = owner_column(model)
    with scope.operator():
        assert {acme.id, globex.id} <= set(model._default_manager.values_list(column, flat=True))
    with scope.organization(acme.id):
        assert set(model._default_manager.values_list(column, flat=True)) == {acme.id}
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT DISTINCT {column} FROM {model._meta.db_table}")
            assert cursor.fetchall() == [(acme.id,)]
    assert not model._default_manager.exists(), "nobody in scope sees nothing"


@pytest.mark.parametrize("model", tenant_models(), ids=lambda model: model.__name__)
def test_a_tenant_changes_no_other_tenants_row(furnished: tuple[Tenant, Tenant], model: type[models.Model]) -> None:
    acme, globex = furnished
    column = owner_column(model)
    with scope.organization(acme.id), connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege(%s, 'UPDATE')", [model._meta.db_table])
        if cursor.fetchone() == (True,):
            cursor.execute(f"UPDATE {model._meta.db_table} SET {column} = {column} WHERE {column} = %s", [globex.id])
            assert cursor.rowcount == 0
            cursor.execute(f"DELETE FROM {model._meta.db_table} WHERE {column} = %s", [globex.id])
            assert cursor.rowcount == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_no_list_leaks_without_its_own_filters(
    furnished: tuple[Tenant, Tenant], unfiltered: None, page: Callable[..., Any]
) -> None:
    acme, _ = furnished
    with scope.organization(acme.id):
        grant = authorization.authorize(acme.principal(), page.scope)  # type: ignore[attr-defined]
        items = page(grant=grant).items
        assert items
        assert {row.organization_id for row in items} == {acme.id}


def test_what_is_listed_in_another_way_leaks_neither(furnished: tuple[Tenant, Tenant], unfiltered: None) -> None:
    acme, _ = furnished
    with scope.organization(acme.id):
        reading = authorization.authorize(acme.principal(), Scope.CONNECTORS_READ)
        assert {row.organization_id for row in connectors.connector_list(grant=reading)} == {acme.id}
        (connector,) = connectors.connector_list(grant=reading)
        rows = presence.presence_page(grant=reading, connector_id=connector.id)
        assert {row.organization_id for row in rows} == {acme.id}
        tokens = access.token_list(grant=authorization.authorize(acme.principal(), Scope.TOKENS_READ))
        assert {row.organization_id for row in tokens} == {acme.id}
        assert [row.id for row in Organization.objects.filter(name="whatever")] == [acme.id]
