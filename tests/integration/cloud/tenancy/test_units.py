"""Organizations, workspaces and projects: named, suspended, deleted, and never changed behind somebody's back."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction

from cloud.access import authentication, authorization
from cloud.access.principals import Grant
from cloud.audit.models import AuditEvent
from cloud.connectors import selectors as connectors
from cloud.permissions.roles import Role
from cloud.tenancy import organizations, projects, scope, selectors, units, workspaces
from cloud.tenancy.models import Organization, Project
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def grant_of(tenant: Tenant, wanted: Scope, role: Role = Role.ORG_OWNER, **reach: Any) -> Grant:
    return authorization.authorize(tenant.principal(role, **reach), wanted)


def told(event_type: str) -> list[dict[str, Any]]:
    return [event.details for event in AuditEvent.objects.filter(event_type=event_type).order_by("id")]


def test_a_workspace_and_a_project_are_made_named_and_told(acme: Tenant) -> None:
    with scope.organization(acme.id):
        place = workspaces.workspace_create(grant=grant_of(acme, Scope.WORKSPACES_WRITE), name="  Research   Lab ")
        assert (place.name, place.slug, place.version) == ("Research Lab", "research-lab", 1)
        writing = grant_of(acme, Scope.PROJECTS_WRITE)
        work = projects.project_create(grant=writing, workspace_id=place.id, name="Compiler", slug="cc")
        again = projects.project_update(grant=writing, project_id=work.id, name="Compilers", expected_version=1)
        assert (again.name, again.slug, again.version) == ("Compilers", "cc", 2)
        assert told("workspace:created")[-1] == {"slug": "research-lab"}
        assert told("project:updated") == [{"name": ["Compiler", "Compilers"]}]
        assert [row.slug for row in selectors.project_page(grant=grant_of(acme, Scope.PROJECTS_READ)).items] == [
            "acme-project",
            "cc",
        ]


def test_a_change_that_changes_nothing_is_not_told(acme: Tenant) -> None:
    with scope.organization(acme.id):
        row = organizations.organization_update(
            grant=grant_of(acme, Scope.ORGANIZATION_WRITE), name="Acme", expected_version=1
        )
        assert row.version == 1
        assert told("organization:updated") == []


@pytest.mark.parametrize("slug", ["main", "Main", "a b", "-", "x" * 64])
def test_a_slug_that_is_taken_or_is_none_is_refused(acme: Tenant, slug: str) -> None:
    with scope.organization(acme.id), pytest.raises(errors.InvalidRequest):
        workspaces.workspace_create(grant=grant_of(acme, Scope.WORKSPACES_WRITE), name="other", slug=slug)


def test_two_organizations_may_use_one_workspace_slug_but_not_one_slug(acme: Tenant, globex: Tenant) -> None:
    assert acme.workspace.slug == globex.workspace.slug
    with scope.organization(acme.id), pytest.raises(errors.InvalidRequest):
        organizations.organization_update(
            grant=grant_of(acme, Scope.ORGANIZATION_WRITE), slug="globex", expected_version=None
        )


def test_who_writes_what_they_read_a_while_ago_is_told_so(acme: Tenant) -> None:
    with scope.organization(acme.id):
        grant = grant_of(acme, Scope.PROJECTS_WRITE)
        projects.project_update(grant=grant, project_id=acme.project.id, name="first", expected_version=1)
        with pytest.raises(errors.PreconditionFailed) as refused:
            projects.project_update(grant=grant, project_id=acme.project.id, name="second", expected_version=1)
        assert refused.value.attributes == {"version": 2}
        assert Project.objects.get(id=acme.project.id).name == "first"


@pytest.mark.django_db(transaction=True)
def test_of_two_who_edit_at_once_one_is_told(acme: Tenant) -> None:
    """On two connections: the second waits for the first's row, and then sees that it changed."""
    grant = grant_of(acme, Scope.PROJECTS_WRITE)
    refused: list[Exception] = []

    def second() -> None:
        try:
            with scope.organization(acme.id):
                projects.project_update(grant=grant, project_id=acme.project.id, name="second", expected_version=1)
        except errors.PreconditionFailed as error:
            refused.append(error)
        finally:
            connections.close_all()

    waiting = threading.Thread(target=second)
    with scope.organization(acme.id):
        with transaction.atomic():
            projects.project_update(grant=grant, project_id=acme.project.id, name="first", expected_version=1)
            waiting.start()
            until_somebody_waits()
        waiting.join(60)
        assert Project.objects.get(id=acme.project.id).name == "first"
    assert len(refused) == 1


def until_somebody_waits() -> None:
    """Look until another connection waits for a lock that this one holds."""
    deadline = datetime.now(UTC) + timedelta(seconds=30)
    with connection.cursor() as cursor:
        while datetime.now(UTC) < deadline:
            # Not pg_stat_activity, which stands still for as long as the transaction lasts.
            cursor.execute(
                "SELECT EXISTS (SELECT 1 FROM pg_locks "
                "WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
            )
            if cursor.fetchone() == (True,):
                return
    raise AssertionError("Nobody waits.")


def test_a_suspended_project_is_refused_and_resumed(acme: Tenant) -> None:
    with scope.organization(acme.id):
        grant = grant_of(acme, Scope.PROJECTS_WRITE)
        projects.project_suspend(grant=grant, project_id=acme.project.id, expected_version=None)
        with pytest.raises(errors.NotFound):
            authorization.authorize(acme.principal(), Scope.RUNS_READ, project_id=acme.project.id)
        assert connectors.project_list(grant=grant_of(acme, Scope.PROJECTS_READ)) == []
        projects.project_resume(grant=grant, project_id=acme.project.id, expected_version=None)
        authorization.authorize(acme.principal(), Scope.RUNS_READ, project_id=acme.project.id)


def test_a_suspended_workspace_takes_its_projects_along(acme: Tenant) -> None:
    with scope.organization(acme.id):
        grant = grant_of(acme, Scope.WORKSPACES_WRITE)
        workspaces.workspace_suspend(grant=grant, workspace_id=acme.workspace.id, expected_version=None)
        for wanted in ({"project_id": acme.project.id}, {"workspace_id": acme.workspace.id}):
            with pytest.raises(errors.NotFound):
                authorization.authorize(acme.principal(), Scope.CONNECTORS_WRITE, **wanted)
        with pytest.raises(errors.NotFound):
            connectors.location_resolve(project_id=acme.project.id)
        with pytest.raises(errors.NotFound):
            projects.project_create(
                grant=grant_of(acme, Scope.PROJECTS_WRITE), workspace_id=acme.workspace.id, name="late"
            )
        assert Project.objects.get(id=acme.project.id).status == "active"


def test_a_deleted_organization_refuses_its_tokens_until_it_is_resumed(
    acme: Tenant, make_member: Callable[..., Any], make_token: Callable[..., Any]
) -> None:
    _, secret = make_token(make_member(acme, Role.ORG_OWNER))
    with scope.organization(acme.id):
        grant = grant_of(acme, Scope.ORGANIZATION_WRITE)
        row = organizations.organization_delete(grant=grant, expected_version=1)
        assert row.deletion_due_at is not None
        assert row.deletion_due_at - datetime.now(UTC) > units.GRACE - timedelta(minutes=1)
    with pytest.raises(errors.Unauthenticated):
        authentication.authenticate_bearer(secret)
    with scope.organization(acme.id):
        row = organizations.organization_resume(grant=grant, expected_version=2)
        assert (row.status, row.deletion_due_at) == ("active", None)
    authentication.authenticate_bearer(secret)


def test_suspending_what_is_to_be_purged_is_refused(acme: Tenant) -> None:
    with scope.organization(acme.id):
        grant = grant_of(acme, Scope.PROJECTS_WRITE)
        projects.project_delete(grant=grant, project_id=acme.project.id, expected_version=None)
        projects.project_delete(grant=grant, project_id=acme.project.id, expected_version=None)
        assert len(told("project:deleted")) == 1
        with pytest.raises(errors.InvalidTransition):
            projects.project_suspend(grant=grant, project_id=acme.project.id, expected_version=None)


def test_who_is_bound_to_a_part_changes_only_that_part(acme: Tenant) -> None:
    bound = frozenset({acme.project.id})
    with scope.organization(acme.id):
        other = workspaces.workspace_create(grant=grant_of(acme, Scope.WORKSPACES_WRITE), name="other")
        writing = grant_of(acme, Scope.PROJECTS_WRITE)
        foreign = projects.project_create(grant=writing, workspace_id=other.id, name="foreign")
        narrow = grant_of(acme, Scope.PROJECTS_WRITE, project_ids=bound)
        projects.project_update(grant=narrow, project_id=acme.project.id, name="mine", expected_version=None)
        for project_id in (foreign.id, other.id):
            with pytest.raises(errors.NotFound):
                projects.project_update(grant=narrow, project_id=project_id, name="theirs", expected_version=None)
        with pytest.raises(errors.NotFound):
            projects.project_create(grant=narrow, workspace_id=acme.workspace.id, name="more")
        with pytest.raises(errors.Forbidden):
            organizations.organization_update(
                grant=grant_of(acme, Scope.ORGANIZATION_WRITE, project_ids=bound), name="x", expected_version=None
            )
        seen = selectors.project_page(grant=grant_of(acme, Scope.PROJECTS_READ, project_ids=bound))
        assert [row.id for row in seen.items] == [acme.project.id]


def test_a_grant_for_something_else_is_refused(acme: Tenant) -> None:
    with scope.organization(acme.id), pytest.raises(errors.Forbidden):
        projects.project_suspend(
            grant=grant_of(acme, Scope.PROJECTS_READ), project_id=acme.project.id, expected_version=None
        )


def test_an_organization_is_created_by_the_installation(db: None) -> None:
    made = organizations.organization_create(name="Initech")
    with pytest.raises(errors.InvalidRequest):
        organizations.organization_create(name="initech")
    with scope.operator():
        assert Organization.objects.get(slug="initech").id == made.id


def test_pages_follow_each_other(acme: Tenant) -> None:
    with scope.organization(acme.id):
        writing = grant_of(acme, Scope.PROJECTS_WRITE)
        for number in range(4):
            projects.project_create(grant=writing, workspace_id=acme.workspace.id, name=f"p{number}")
        reading = grant_of(acme, Scope.PROJECTS_READ)
        first = selectors.project_page(grant=reading, limit=3)
        second = selectors.project_page(grant=reading, limit=3, after=first.next_after)
        assert [row.slug for row in first.items + second.items] == ["acme-project", "p0", "p1", "p2", "p3"]
        assert second.next_after is None
        assert [row.slug for row in selectors.project_page(grant=reading, search="P2").items] == ["p2"]
