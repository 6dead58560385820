import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.db.utils import DataError, IntegrityError, ProgrammingError

from cloud.tenancy import scope
from cloud.tenancy.models import Organization, Project, Workspace
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def test_nobody_sees_nothing_and_writes_nothing(acme: Tenant) -> None:
    assert list(Project.objects.all()) == []
    assert Project.objects.update(name="mine") == 0
    assert Workspace.objects.filter(id=acme.workspace.id).delete()[0] == 0
    with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
        Workspace.objects.create(organization=acme.organization, slug="x", name="x")


def test_a_tenant_sees_its_own_rows_only(acme: Tenant, globex: Tenant) -> None:
    with scope.organization(acme.id):
        assert [row.id for row in Project.objects.all()] == [acme.project.id]
        assert [row.id for row in Organization.objects.all()] == [acme.id]
        assert not Project.objects.filter(id=globex.project.id).exists()


def test_a_tenant_cannot_change_or_make_another_tenants_rows(acme: Tenant, globex: Tenant) -> None:
    with scope.organization(acme.id):
        assert Project.objects.filter(id=globex.project.id).update(name="taken") == 0
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            Workspace.objects.create(organization_id=globex.id, slug="x", name="x")


def test_no_row_can_point_into_another_tenant(acme: Tenant, globex: Tenant) -> None:
    with scope.organization(acme.id), pytest.raises(IntegrityError), transaction.atomic():
        Project.objects.create(organization_id=acme.id, workspace_id=globex.workspace.id, slug="x", name="x")


def test_the_operator_sees_every_tenant(acme: Tenant, globex: Tenant) -> None:
    with scope.operator():
        assert {row.id for row in Organization.objects.all()} == {acme.id, globex.id}


def test_scopes_do_not_nest(acme: Tenant, globex: Tenant) -> None:
    with scope.organization(acme.id):
        with pytest.raises(scope.ScopeError), scope.organization(globex.id):
            pass
        with pytest.raises(scope.ScopeError), scope.operator():
            pass
        with scope.organization(acme.id):
            assert Project.objects.count() == 1
        assert Project.objects.count() == 1


def test_the_scope_ends_with_its_block_even_inside_one_transaction(acme: Tenant) -> None:
    with transaction.atomic():
        with scope.organization(acme.id):
            assert Project.objects.count() == 1
        assert Project.objects.count() == 0
        with scope.operator():
            assert Project.objects.count() == 1
        assert Project.objects.count() == 0


def test_the_scope_survives_a_rolled_back_savepoint(acme: Tenant) -> None:
    with transaction.atomic(), scope.organization(acme.id):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            assert Project.objects.count() == 1
            _ = 1 / 0
        assert Project.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_autocommit_read_in_scope_is_one_statement_and_leaves_nothing_behind(acme: Tenant) -> None:
    with scope.organization(acme.id):
        assert connection.get_autocommit()
        assert [row.id for row in Project.objects.all()] == [acme.project.id]
        assert not connection.in_atomic_block
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 WHERE current_setting('app.organization_id') = '" + str(acme.id) + "'")
            assert cursor.fetchone() == (1,)
    assert Project.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_streamed_and_many_rowed_statements_run_in_scope(acme: Tenant) -> None:
    with scope.organization(acme.id):
        assert [row.id for row in Project.objects.all().iterator(chunk_size=1)] == [acme.project.id]
        with connection.cursor() as cursor:
            cursor.executemany("UPDATE tenancy_project SET name = %s WHERE id = %s", [["new", acme.project.id]] * 2)
        assert Project.objects.get().name == "new"


@pytest.mark.django_db(transaction=True)
def test_a_failed_statement_leaves_no_scope_on_the_connection(acme: Tenant) -> None:
    with pytest.raises(ProgrammingError), scope.organization(acme.id), connection.cursor() as cursor:
        cursor.execute("SELECT no_such_column FROM tenancy_project")
    assert Project.objects.count() == 0


@pytest.mark.parametrize("before", [None, "globex", "operator"])
@pytest.mark.django_db(transaction=True)
def test_a_statement_that_was_never_sent_leaves_no_earlier_scope_to_the_next(
    acme: Tenant, globex: Tenant, before: str | None
) -> None:
    with transaction.atomic():
        if before is not None:
            with scope.operator() if before == "operator" else scope.organization(globex.id):
                assert globex.project.id in [row.id for row in Project.objects.all()]
        with scope.organization(acme.id):
            with pytest.raises(DataError, match="NUL"):
                Project.objects.filter(name="a\0b").exists()
            assert [row.id for row in Project.objects.all()] == [acme.project.id]


@pytest.mark.django_db(transaction=True)
def test_a_first_statement_that_cannot_be_read_leaves_the_scope_to_the_next(acme: Tenant) -> None:
    with scope.organization(acme.id), transaction.atomic(), connection.cursor() as cursor:
        with pytest.raises(ProgrammingError, match="syntax"):
            cursor.execute("SELEC 1")
        assert [row.id for row in Project.objects.all()] == [acme.project.id]


@pytest.mark.parametrize(
    ("statement", "params", "is_first"),
    [("SELECT %s", ["a\0b"], False), ("SELECT %s", ["a\0b"], True), ("SELEC", [], True)],
)
@pytest.mark.django_db(transaction=True)
def test_what_was_put_off_is_not_lost_with_a_statement_that_never_ran(
    acme: Tenant, statement: str, params: list[str], is_first: bool
) -> None:
    with scope.organization(acme.id):
        with transaction.atomic(), connection.cursor() as cursor:
            if not is_first:
                assert Project.objects.exists()
            connection.execute_later("UPDATE tenancy_project SET name = name || %s", [" again"])
            with pytest.raises((DataError, ProgrammingError)):
                cursor.execute(statement, params)
        assert Project.objects.get().name == f"{acme.project.name} again"


@pytest.mark.django_db(transaction=True)
def test_what_was_put_off_and_refused_is_gone_with_its_transaction(acme: Tenant) -> None:
    with scope.organization(acme.id):
        for is_first in (True, False):
            with pytest.raises(DataError, match="division"), transaction.atomic():
                connection.execute_later("UPDATE tenancy_project SET name = (1 / 0)::text", [])
                if not is_first:
                    Project.objects.exists()
            assert Project.objects.get().name == acme.project.name


@pytest.mark.django_db(transaction=True)
def test_tenants_side_by_side_never_see_each_other(make_tenant: Callable[[str], Tenant]) -> None:
    tenants = [make_tenant(f"tenant {number}") for number in range(4)]

    def look(turn: int) -> bool:
        tenant = tenants[turn % len(tenants)]
        try:
            with scope.organization(tenant.id):
                one = [row.id for row in Project.objects.all()]
                with transaction.atomic():
                    two = [row.id for row in Project.objects.all()]
            return one == two == [tenant.project.id] and not Project.objects.exists()
        finally:
            if turn % 5 == 0:
                connection.close()

    together = threading.Barrier(4)

    def close() -> None:
        together.wait(timeout=60)
        connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(look, range(200)))
        for done in [threads.submit(close) for _ in range(4)]:
            done.result()
