"""What was deleted goes when it is due: all of it, nobody else's, and never its audit."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps

from cloud.access import authorization
from cloud.audit import verify
from cloud.audit.models import AuditEvent
from cloud.connectors.models import Claim, Connector, Location
from cloud.tenancy import organizations, projects, purging, scope, units, workspaces
from cloud.tenancy.models import Organization, Project, Workspace
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.everything import everything_make, owner_column, tenant_models
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

# Later than any suite takes from here to its tests.
DUE = datetime.now(UTC) + units.GRACE + timedelta(hours=3)


@pytest.fixture
def furnished(acme: Tenant, globex: Tenant, make_member: Callable[..., Any]) -> tuple[Tenant, Tenant]:
    for tenant in (acme, globex):
        make_member(tenant, "org_owner")
        everything_make(tenant)
    return acme, globex


def rows_of(organization_id: UUID) -> Counter[str]:
    with scope.operator():
        return Counter(
            {
                model.__name__: model._default_manager.filter(**{owner_column(model): organization_id}).count()
                for model in tenant_models()
            }
        )


def test_an_organization_goes_with_everything_but_its_audit(furnished: tuple[Tenant, Tenant]) -> None:
    acme, globex = furnished
    before = rows_of(globex.id)
    with scope.organization(acme.id):
        grant = authorization.authorize(acme.principal(), Scope.ORGANIZATION_WRITE)
        organizations.organization_delete(grant=grant, expected_version=None)
    assert purging.purge_due(now=datetime.now(UTC)) == []
    (purged,) = purging.purge_due(now=DUE)
    assert (purged.kind, purged.id) == ("organization", acme.id)
    left = {name for name, count in rows_of(acme.id).items() if count}
    assert {"AuditEvent", "AuditSeal", "AuditCheckpoint"} <= left
    assert left <= {model.__name__ for model in apps.get_app_config("audit").get_models()}
    assert rows_of(globex.id) == before
    assert purging.purge_due(now=DUE) == []


def test_the_audit_of_what_is_gone_stays_verifiable(acme: Tenant) -> None:
    with scope.organization(acme.id):
        grant = authorization.authorize(acme.principal(), Scope.ORGANIZATION_WRITE)
        organizations.organization_delete(grant=grant, expected_version=None)
    purging.purge_due(now=DUE)
    with scope.organization(acme.id):
        assert AuditEvent.objects.latest("id").event_type == "organization:purged"
        report = verify.chain_verify(acme.id)
        assert (report.ok, report.unsealed) == (True, 0)


def test_a_project_goes_and_its_machine_stays(furnished: tuple[Tenant, Tenant]) -> None:
    acme, _ = furnished
    with scope.organization(acme.id):
        grant = authorization.authorize(acme.principal(), Scope.PROJECTS_WRITE)
        projects.project_delete(grant=grant, project_id=acme.project.id, expected_version=None)
    (purged,) = purging.purge_due(now=DUE)
    assert purged.id == acme.project.id
    left = rows_of(acme.id)
    assert [name for name in ("Project", "RunSnapshot", "RunEvent", "OperationCall") if left[name]] == []
    with scope.organization(acme.id):
        assert Connector.objects.exists()
        assert {row.project_id for row in (*Claim.objects.all(), *Location.objects.all())} == {None}


def test_a_workspace_goes_with_its_projects(acme: Tenant) -> None:
    with scope.organization(acme.id):
        grant = authorization.authorize(acme.principal(), Scope.WORKSPACES_WRITE)
        workspaces.workspace_delete(grant=grant, workspace_id=acme.workspace.id, expected_version=None)
    purging.purge_due(now=DUE)
    with scope.organization(acme.id):
        assert not Project.objects.exists()
        assert not Workspace.objects.exists()
        assert Organization.objects.exists()


def test_what_is_resumed_meanwhile_stays(acme: Tenant) -> None:
    with scope.organization(acme.id):
        grant = authorization.authorize(acme.principal(), Scope.PROJECTS_WRITE)
        projects.project_delete(grant=grant, project_id=acme.project.id, expected_version=None)
        projects.project_resume(grant=grant, project_id=acme.project.id, expected_version=None)
    assert purging.purge_due(now=DUE) == []
