"""Who is bound to a part sees in the admin exactly what REST and `cloudctl` show them: one place decides."""

import contextlib
import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.handlers.wsgi import WSGIRequest
from django.db.models import ForeignKey
from django.http import QueryDict
from django.test import Client
from django.urls import reverse

from cloud.access import authorization
from cloud.access import selectors as access
from cloud.accounts.models import User
from cloud.audit.models import AuditRollupCursor
from cloud.connectors import enrollment, links, services
from cloud.connectors import selectors as connectors
from cloud.connectors.models import Connector, Instance, Location
from cloud.console.tenant_admin import TenantAdmin
from cloud.limits.models import Limit, Usage
from cloud.permissions.roles import Role
from cloud.tenancy import scope, selectors
from cloud.tenancy import services as tenancy
from cloud.tenancy.models import Membership, Organization, Project, Workspace
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud import everything
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.console.conftest import SignIn
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def shown(browser: Client, name: str) -> set[Any]:
    page = browser.get(reverse(f"admin:{name}_changelist"))
    assert page.status_code == 200
    return {row.pk for row in page.context["cl"].result_list}


@pytest.fixture
def elsewhere(acme: Tenant) -> Workspace:
    with scope.organization(acme.id):
        workspace, _ = tenancy.workspace_ensure(organization_id=acme.id, name="elsewhere", actor=None)
    return workspace


@pytest.fixture
def furnished(acme: Tenant, elsewhere: Workspace, make_member: Callable[..., Membership]) -> None:
    """A machine for the project, one for its workspace, one for all and one elsewhere; each with a repository, some of
    which serve nothing yet."""
    make_member(acme, Role.WORKSPACE_ADMIN, workspace=elsewhere)
    make_member(acme, Role.PROJECT_VIEWER, project=acme.project)
    for workspace_id, project_id in (
        (None, acme.project.id), (acme.workspace.id, None), (None, None), (elsewhere.id, None),
    ):  # fmt: skip
        with scope.organization(acme.id):
            grant = authorization.authorize(
                acme.principal(), Scope.CONNECTORS_WRITE, workspace_id=workspace_id, project_id=project_id
            )
            for _ in range(2):
                _, code = enrollment.enrollment_code_create(grant=grant, ttl=enrollment.PENDING_TTL)
        machine = Machine()
        connector = enrollment.connector_enroll(**machine.enroll_request(code))
        opened = links.link_open(connector_id=connector.id, link_owner="process-1")
        advertised = machine.advertisement(f"r-{connector.id}", f"s-{connector.id}")
        services.advertise_apply(connector_id=connector.id, epoch=opened.epoch, advertised=advertised)
    with scope.organization(acme.id):
        # One of a machine that the project's people hold serves nothing.
        held = Connector.objects.get(claims__project_id=acme.project.id)
        Location.objects.filter(pk=Location.objects.filter(instance__connector=held).first().pk).update(project=None)


@pytest.mark.parametrize("role", [Role.WORKSPACE_ADMIN, Role.PROJECT_VIEWER])
def test_the_admin_shows_what_the_selectors_do(
    acme: Tenant, furnished: None, sign_in: SignIn, make_member: Callable[..., Membership], role: Role
) -> None:
    bound = {"workspace": acme.workspace} if role is Role.WORKSPACE_ADMIN else {"project": acme.project}
    member = make_member(acme, role, **bound)
    browser = Client()
    browser.force_login(member.user)
    with scope.organization(acme.id):
        who = access.user_principal(member.user, organization_id=acme.id)
        reading = authorization.authorize(who, Scope.CONNECTORS_READ)
        expected: dict[str, Any] = {
            "connectors_connector": connectors.connector_page(grant=reading),
            "connectors_instance": connectors.instance_page(grant=reading),
            "connectors_location": connectors.location_page(grant=reading),
            "connectors_enrollmentcode": connectors.enrollment_code_page(grant=reading),
        }
        projects = authorization.authorize(who, Scope.PROJECTS_READ)
        expected["tenancy_project"] = selectors.project_page(grant=projects)
        if role is Role.WORKSPACE_ADMIN:
            people = authorization.authorize(who, Scope.MEMBERS_READ)
            expected["tenancy_membership"] = selectors.membership_page(grant=people)
            workspaces = authorization.authorize(who, Scope.WORKSPACES_READ)
            expected["tenancy_workspace"] = selectors.workspace_page(grant=workspaces)
    assert len(expected["connectors_location"].items) > 1
    for name, page in expected.items():
        assert shown(browser, name) == {row.pk for row in page.items}, name


def test_a_workspaces_machines_show_their_claims_and_comings(
    acme: Tenant, furnished: None, sign_in: SignIn, elsewhere: Workspace
) -> None:
    browser = sign_in(acme, Role.WORKSPACE_ADMIN, workspace=acme.workspace)
    machines = shown(browser, "connectors_connector")
    assert len(machines) == 2
    for name in ("connectors_claim", "connectors_presence"):
        rows = browser.get(reverse(f"admin:{name}_changelist")).context["cl"].result_list
        assert {row.connector_id for row in rows} == machines


def test_of_tokens_who_administers_nobody_sees_their_own(
    acme: Tenant, sign_in: SignIn, make_member: Callable[..., Membership], make_token: Callable[..., Any]
) -> None:
    member = make_member(acme, Role.PROJECT_OPERATOR)
    make_token(make_member(acme, Role.ORG_ADMIN))
    own, _ = make_token(member)
    browser = Client()
    browser.force_login(member.user)
    assert shown(browser, "access_token") == {own.pk}
    assert len(shown(sign_in(acme), "access_token")) == 2


@pytest.mark.parametrize(
    ("role", "seen"), [(Role.ORG_ADMIN, True), (Role.PROJECT_OPERATOR, False), (Role.PROJECT_VIEWER, False)]
)
def test_usage_and_limits_name_no_token_that_their_viewer_does_not_see(
    acme: Tenant, sign_in: SignIn, make_member: MakeMember, make_token: MakeToken, role: Role, seen: bool
) -> None:
    token, _ = make_token(make_member(acme, Role.ORG_OWNER))
    with scope.organization(acme.id):
        Usage.objects.create(
            organization=acme.organization, token_id=token.id, kind="cost_micros", day=datetime.now(UTC), amount=1
        )
        of_token = Limit.objects.create(organization=acme.organization, token=token, runs_at_once=1)
    browser, url = sign_in(acme, role), reverse("admin:limits_usage_changelist")
    (row,) = browser.get(url).context["cl"].result_list
    assert row.token_name == (token.name if seen else None)
    found = browser.get(url, {"q": token.name}).context["cl"].result_list
    assert len(found) == int(seen)
    assert shown(browser, "limits_limit") == ({of_token.pk} if seen else set())


def test_a_machine_of_several_projects_tells_of_those_within_reach(
    acme: Tenant, elsewhere: Workspace, sign_in: SignIn, make_connector: Callable[..., Connector]
) -> None:
    """It was claimed for a project beside, which its daemon still serves; one of its repositories was mapped here."""
    with scope.organization(acme.id):
        secret, _ = tenancy.project_ensure(workspace=elsewhere, name="secret-beside", actor=None)
    machine = Machine()
    connector = make_connector(replace(acme, project=secret), machine)
    opened = links.link_open(connector_id=connector.id, link_owner="process-1")
    services.advertise_apply(
        connector_id=connector.id, epoch=opened.epoch, advertised=machine.advertisement("shared-here", "left-beside")
    )
    with scope.organization(acme.id):
        Instance.objects.update(project=secret)
        Location.objects.filter(repository_label="shared-here").update(project=acme.project)
        keys = {Connector: connector.pk, Instance: Instance.objects.get().pk}
        keys[Location] = Location.objects.get(project=acme.project).pk
    bound, owner = sign_in(acme, Role.PROJECT_VIEWER, project=acme.project), sign_in(acme)
    assert shown(bound, "connectors_connector") == {connector.pk}
    assert shown(bound, "connectors_location") == {keys[Location]}
    assert shown(bound, "connectors_claim") == set()
    for model, key in keys.items():
        name = f"connectors_{model._meta.model_name}"
        for address in (reverse(f"admin:{name}_changelist"), reverse(f"admin:{name}_change", args=[key])):
            page = bound.get(address)
            assert page.status_code == 200
            assert "secret-beside" not in page.content.decode(), address
            if model is not Location:
                assert "secret-beside" in owner.get(address).content.decode(), address


@pytest.fixture
def beside(acme: Tenant, elsewhere: Workspace) -> everything.Rows:
    """A row of everything here, and one of a project beside, whose names nobody here should read."""
    with scope.organization(acme.id):
        project, _ = tenancy.project_ensure(workspace=elsewhere, name="secret-beside", actor=None)
    at: everything.Rows = {Organization: acme.organization, Workspace: acme.workspace, Project: acme.project}
    people = [User.objects.create_user(f"{name}@example.com", "a long password") for name in ("here", "beside")]
    everything.everything_make(acme, at={**at, User: people[0]})
    there = everything.everything_make(acme, at={**at, Workspace: elsewhere, Project: project, User: people[1]})
    with scope.organization(acme.id):
        Connector.objects.update(link_owner="")
    return there


# An operator reads whatever a viewer does.
@pytest.mark.parametrize("role", [Role.WORKSPACE_ADMIN, Role.PROJECT_OPERATOR])
def test_no_list_search_or_filter_tells_who_is_bound_of_a_project_beside(
    acme: Tenant, beside: everything.Rows, sign_in: SignIn, role: Role
) -> None:
    bound = {"workspace": acme.workspace} if role is Role.WORKSPACE_ADMIN else {"project": acme.project}
    browser, told = sign_in(acme, role, **bound), []
    for page in admin.site._registry.values():
        row = beside.get(page.model)
        if not isinstance(page, TenantAdmin) or row is None or page.model in {Organization, AuditRollupCursor, Usage}:
            continue
        answer = browser.get(reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_changelist"))
        if answer.status_code == 403:
            continue
        if "secret-beside" in answer.content.decode():
            told.append((page.opts.label, "a name"))
        ids = {str(value) for name, value in vars(row).items() if name.endswith("_id")}
        asked = ["", "period=any", *(f"q={quote(term[:200])}" for term in {str(row), str(row.pk), *ids})]
        found = [query for query in asked if row.pk in listed(acme, answer.wsgi_request, page, query)]
        told.extend((page.opts.label, query) for query in found)
    assert told == []
    assert "secret-beside" not in browser.get(reverse("admin:index")).content.decode()


def listed(tenant: Tenant, seen_by: WSGIRequest, page: TenantAdmin, query: str) -> set[Any]:
    """What the list holds for that query, to who made the request; nothing is drawn."""
    asked = copy.copy(seen_by)
    asked.GET = QueryDict(query)
    with scope.organization(tenant.id), contextlib.suppress(IncorrectLookupParameters):
        return {row.pk for row in page.get_changelist_instance(asked).result_list}
    return set()


@pytest.mark.parametrize("role", [Role.WORKSPACE_ADMIN, Role.PROJECT_VIEWER])
def test_no_box_that_completes_what_one_types_knows_a_project_beside(
    acme: Tenant, beside: everything.Rows, sign_in: SignIn, role: Role
) -> None:
    bound = {"workspace": acme.workspace} if role is Role.WORKSPACE_ADMIN else {"project": acme.project}
    browser, asked = sign_in(acme, role, **bound), 0
    for model in admin.site._registry:
        for field in model._meta.concrete_fields:
            row = beside.get(field.related_model) if isinstance(field, ForeignKey) else None
            if row is None or field.related_model is Organization:
                continue
            named = {"app_label": model._meta.app_label, "model_name": model._meta.model_name, "field_name": field.name}
            answer = browser.get(reverse("admin:autocomplete"), {**named, "term": ""})
            if answer.status_code == 200:
                asked += 1
                assert str(row.pk) not in {found["id"] for found in answer.json()["results"]}, named
                assert "secret-beside" not in answer.content.decode(), named
    assert asked > 10
