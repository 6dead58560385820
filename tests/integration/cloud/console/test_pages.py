"""What pages show to whom: what they cost, and what people of less reach see. Each list and row: `test_every_page`."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cloud.access import authorization
from cloud.accounts.models import User
from cloud.audit import aggregation, seal
from cloud.connectors import links, services
from cloud.connectors.models import Connector
from cloud.permissions.roles import Role
from cloud.tenancy import invitations, scope
from cloud.tenancy import services as tenancy
from cloud.tenancy.posts import Post
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.everything import everything_make
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

SignIn = Callable[..., Client]


@pytest.fixture
def furnished(
    acme: Tenant, globex: Tenant, make_connector: Callable[..., Connector], make_token: Any, make_member: Any
) -> tuple[Tenant, Tenant]:
    """Two tenants with something in every table."""
    for tenant in (acme, globex):
        machine = Machine()
        connector = make_connector(tenant, machine)
        link = links.link_open(connector_id=connector.id, link_owner="process-1")
        services.advertise_apply(
            connector_id=connector.id,
            epoch=link.epoch,
            advertised=machine.advertisement(f"{tenant.organization.slug}-repository"),
        )
        make_token(make_member(tenant, Role.ORG_ADMIN))
        with scope.organization(tenant.id):
            inviting = authorization.authorize(tenant.principal(), Scope.MEMBERS_WRITE)
            invitations.invitation_create(grant=inviting, email="new@example.com", post=Post(role=Role.PROJECT_VIEWER))
            seal.organization_seal(tenant.id)
            aggregation.rollups_aggregate(tenant.id)
        everything_make(tenant)
    return acme, globex


@pytest.mark.parametrize("name", ["connectors_connector", "audit_auditevent", "connectors_location", "access_token"])
def test_a_longer_list_takes_no_more_queries(
    acme: Tenant, sign_in: SignIn, make_connector: Any, make_token: Any, make_member: Any, name: str
) -> None:
    browser = sign_in(acme)

    def furnish() -> None:
        machine = Machine()
        connector = make_connector(acme, machine)
        link = links.link_open(connector_id=connector.id, link_owner="process-1")
        services.advertise_apply(connector_id=connector.id, epoch=link.epoch, advertised=machine.advertisement("x"))
        make_token(make_member(acme, Role.ORG_ADMIN))

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert browser.get(reverse(f"admin:{name}_changelist")).status_code == 200
        return len(seen)

    furnish()
    few = queries()
    for _ in range(4):
        furnish()
    assert queries() == few


def test_a_viewer_sees_work_but_neither_tokens_nor_buttons(furnished: tuple[Tenant, Tenant], sign_in: SignIn) -> None:
    browser = sign_in(furnished[0], Role.PROJECT_VIEWER)
    assert browser.get(reverse("admin:access_token_changelist")).status_code == 403
    page = browser.get(reverse("admin:connectors_connector_changelist"))
    assert page.status_code == 200
    assert "Claim a machine" not in page.content.decode()
    assert browser.get(reverse("admin:connectors_connector_claim")).status_code == 403


def test_a_person_bound_to_a_project_sees_only_its_rows(furnished: tuple[Tenant, Tenant], sign_in: SignIn) -> None:
    acme, _ = furnished
    with scope.organization(acme.id):
        other, _ = tenancy.project_ensure(workspace=acme.workspace, name="other", actor=None)
    browser = sign_in(acme, Role.PROJECT_OPERATOR, workspace=acme.workspace, project=other)
    for name in ("connectors_connector", "connectors_location", "audit_auditrollup"):
        assert len(browser.get(reverse(f"admin:{name}_changelist")).context["cl"].result_list) == 0
    projects = browser.get(reverse("admin:tenancy_project_changelist")).context["cl"].result_list
    assert [row.pk for row in projects] == [other.pk]


def test_a_person_of_no_organization_sees_nothing(db: None, acme: Tenant) -> None:

    browser = Client()
    browser.force_login(User.objects.create_user("nobody@example.com", "a long password", is_staff=True))
    assert browser.get(reverse("admin:index")).status_code == 200
    assert browser.get(reverse("admin:tenancy_project_changelist")).status_code == 403


def test_a_browser_that_is_not_signed_in_is_sent_to_the_door(db: None) -> None:
    page = Client().get(reverse("admin:index"))
    assert (page.status_code, page.headers["Location"].split("?")[0]) == (302, reverse("admin:login"))


def test_a_tokens_page_names_its_holder_and_its_projects(
    acme: Tenant, sign_in: SignIn, make_token: Any, make_member: Any
) -> None:
    member = make_member(acme, Role.ORG_ADMIN)
    member.user.full_name = "Ada <Lovelace>"
    member.user.save()
    token, _ = make_token(member, project_ids=[acme.project.id])
    page = sign_in(acme).get(reverse("admin:access_token_change", args=[token.pk])).content.decode()
    assert f"Ada &lt;Lovelace&gt; &lt;{member.user.email}&gt;" in page
    assert f'href="{reverse("admin:tenancy_membership_change", args=[member.pk])}"' in page
    assert acme.project.name in page
    assert str(acme.project.id) not in page


def test_a_member_is_called_by_address_on_their_own_page(acme: Tenant, sign_in: SignIn, make_member: Any) -> None:
    member = make_member(acme, Role.ORG_ADMIN)
    page = sign_in(acme).get(reverse("admin:tenancy_membership_change", args=[member.pk])).content.decode()
    heading = page[page.index("<h1") : page.index("</h1>")]
    assert f"{member.user.email}, org_admin".capitalize() in heading
