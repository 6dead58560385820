"""Who is bound to a part sees in the admin exactly what REST and `cloudctl` show them: one place decides."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from cloud.access import authorization
from cloud.access import selectors as access
from cloud.connectors import enrollment, links, services
from cloud.connectors import selectors as connectors
from cloud.connectors.models import Connector, Location
from cloud.limits.models import Limit, Usage
from cloud.permissions.roles import Role
from cloud.tenancy import scope, selectors
from cloud.tenancy import services as tenancy
from cloud.tenancy.models import Membership, Workspace
from local_daemon.protocol.scopes import Scope
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
