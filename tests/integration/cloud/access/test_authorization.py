import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cloud.access import authorization
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from cloud.tenancy.models import Project
from local_daemon.protocol import errors, ids
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def test_a_grant_says_where_and_costs_one_query(acme: Tenant) -> None:
    with scope.organization(acme.id), CaptureQueriesContext(connection) as queries:
        grant = authorization.authorize(acme.principal(), Scope.RUNS_WRITE, project_id=acme.project.id)
    assert len(queries) == 1
    assert (grant.organization_id, grant.workspace_id, grant.project_id) == (
        acme.id,
        acme.workspace.id,
        acme.project.id,
    )


def test_without_a_project_no_query_is_needed(acme: Tenant) -> None:
    with CaptureQueriesContext(connection) as queries:
        authorization.authorize(acme.principal(), Scope.PROJECTS_READ)
    assert len(queries) == 0


def test_a_scope_that_is_lacking_is_named(acme: Tenant) -> None:
    with scope.organization(acme.id), pytest.raises(errors.Forbidden, match="runs:write"):
        authorization.authorize(acme.principal(Role.PROJECT_VIEWER), Scope.RUNS_WRITE, project_id=acme.project.id)


def test_another_tenants_project_does_not_exist(acme: Tenant, globex: Tenant) -> None:
    with scope.organization(acme.id), pytest.raises(errors.NotFound):
        authorization.authorize(acme.principal(), Scope.RUNS_READ, project_id=globex.project.id)


def test_a_project_out_of_reach_does_not_exist(acme: Tenant) -> None:
    bound = acme.principal(project_ids=frozenset({ids.new_uuid7()}))
    with scope.organization(acme.id), pytest.raises(errors.NotFound):
        authorization.authorize(bound, Scope.RUNS_READ, project_id=acme.project.id)


def test_a_disabled_project_does_not_exist(acme: Tenant) -> None:
    with scope.organization(acme.id):
        Project.objects.update(status="disabled")
        with pytest.raises(errors.NotFound):
            authorization.authorize(acme.principal(), Scope.RUNS_READ, project_id=acme.project.id)


def test_nothing_is_found_without_a_scope(acme: Tenant) -> None:
    with pytest.raises(errors.NotFound):
        authorization.authorize(acme.principal(), Scope.RUNS_READ, project_id=acme.project.id)
