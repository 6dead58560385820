import html
import re
import shlex
from collections.abc import Callable
from typing import Any
from uuid import UUID

import click
import pytest
from django.test import Client
from django.urls import reverse

from cloud.audit.models import AuditEvent
from cloud.connectors import enrollment
from cloud.connectors.models import Claim, Connector, EnrollmentCode
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from cloud.tenancy import services as tenancy
from cloud.tenancy.models import Project
from connector_agent import cli as connector_cli
from connector_agent import config as connector_config
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

SignIn = Callable[..., Client]


@pytest.fixture
def claim_code(db: None) -> str:
    """The code that a waiting machine shows."""
    _, code = enrollment.connector_register_pending(**Machine().register_request())
    return code


def ask(browser: Client, place: UUID, code: str, *, looked_at: str = "") -> Any:
    path = reverse("admin:connectors_connector_claim")
    return browser.post(path, {"claim_code": code, "project": str(place), "confirm": looked_at})


def confirm(browser: Client, place: UUID, code: str) -> Any:
    """As the button does on the page that spelled it out."""
    return ask(browser, place, code, looked_at=f"{code} {place}")


def told(page: str) -> click.Context:
    """The command on a page, as the connector's own command line understands it."""
    found = re.search(r'<code id="secret">([^<]+)</code>', page)
    assert found, page[-3000:]
    program, name, *arguments = shlex.split(html.unescape(found[1]))
    assert (program, name) == ("ropeway-connector", "enroll")
    return connector_cli.enroll.make_context(name, arguments)


def test_the_page_spells_out_what_a_claim_exposes_before_anything_happens(
    acme: Tenant, sign_in: SignIn, claim_code: str
) -> None:
    page = ask(sign_in(acme), acme.project.id, claim_code).content.decode()
    assert "laptop" in page
    assert "darwin" in page
    assert "Acme project" in page
    assert "Submit" in page
    assert "there is no shell" in page
    with scope.organization(acme.id):
        assert not Connector.objects.exists()


@pytest.mark.parametrize("who", ["owner", "operator"])
def test_confirming_claims_the_machine(acme: Tenant, sign_in: SignIn, claim_code: str, who: str) -> None:
    browser = sign_in(acme) if who == "owner" else sign_in()
    answer = confirm(browser, acme.project.id, claim_code)
    with scope.organization(acme.id):
        connector = Connector.objects.get()
        assert answer.headers["Location"] == reverse("admin:connectors_connector_change", args=[connector.id])
        assert Claim.objects.get().project_id == acme.project.id
        assert AuditEvent.objects.get(event_type="connector:claimed").actor_kind == "user"


def test_what_the_page_did_not_spell_out_is_spelled_out_first(acme: Tenant, sign_in: SignIn, claim_code: str) -> None:
    browser = sign_in(acme)
    page = ask(browser, acme.id, claim_code, looked_at=f"{claim_code} {acme.project.id}").content.decode()
    assert f'value="{claim_code} {acme.id}"' in page
    with scope.organization(acme.id):
        assert not Connector.objects.exists()
    assert confirm(browser, acme.id, claim_code).status_code == 302


def test_a_wrong_code_says_so(acme: Tenant, sign_in: SignIn) -> None:
    page = confirm(sign_in(acme), acme.project.id, "0000-0000")
    assert page.status_code == 200
    assert "No machine shows this claim code." in page.content.decode()


def test_another_tenants_project_cannot_be_chosen(
    acme: Tenant, globex: Tenant, sign_in: SignIn, claim_code: str
) -> None:
    browser = sign_in(acme)
    assert globex.project.name not in browser.get(reverse("admin:connectors_connector_claim")).content.decode()
    assert confirm(browser, globex.project.id, claim_code).status_code == 200
    with scope.operator():
        assert not Connector.objects.exists()


def test_an_enrollment_code_is_told_once(acme: Tenant, sign_in: SignIn) -> None:
    browser = sign_in(acme)
    path = reverse("admin:connectors_enrollmentcode_create_code")
    assert browser.get(path).status_code == 200
    page = browser.post(path, {"label": "the builder", "minutes": "60", "project": str(acme.project.id)})
    text = page.content.decode()
    assert "no-store" in page.headers["Cache-Control"]
    code = told(text).params["code"]
    assert enrollment.connector_enroll(**Machine().enroll_request(code)).organization_id == acme.id
    with scope.organization(acme.id):
        assert EnrollmentCode.objects.get().label == "the builder"
    assert code not in browser.get(reverse("admin:connectors_enrollmentcode_changelist")).content.decode()


def test_the_command_on_the_page_is_one_that_the_connector_takes(acme: Tenant, sign_in: SignIn) -> None:
    path = reverse("admin:connectors_enrollmentcode_create_code")
    asked = {"label": "", "minutes": "60", "project": str(acme.project.id)}
    page = sign_in(acme).post(path, asked, secure=True, headers={"host": "testserver:8443"})
    given = told(page.content.decode()).params
    assert given["cloud_url"] == "https://testserver:8443"
    assert re.fullmatch(connector_config.CLOUD_URL, given["cloud_url"])
    assert "console-copy" in page.content.decode()


@pytest.mark.parametrize("width", ["workspace", "organization"])
def test_a_code_and_a_claim_may_be_for_more_than_a_project(
    acme: Tenant, sign_in: SignIn, claim_code: str, width: str
) -> None:
    browser = sign_in(acme)
    chosen = acme.workspace.id if width == "workspace" else acme.id
    path = reverse("admin:connectors_enrollmentcode_create_code")
    browser.post(path, {"label": "wide", "minutes": "60", "project": str(chosen)})
    confirm(browser, chosen, claim_code)
    wanted = (acme.workspace.id if width == "workspace" else None, None)
    with scope.organization(acme.id):
        for row in (EnrollmentCode.objects.get(), Claim.objects.get()):
            assert (row.workspace_id, row.project_id) == wanted


def test_who_reaches_a_part_is_offered_no_more(acme: Tenant, sign_in: SignIn, claim_code: str) -> None:
    browser = sign_in(acme, Role.WORKSPACE_ADMIN, workspace=acme.workspace)
    page = browser.get(reverse("admin:connectors_connector_claim")).content.decode()
    assert f'value="{acme.workspace.id}"' in page
    assert f'value="{acme.id}"' not in page
    assert "whole organization" not in page
    confirm(browser, acme.id, claim_code)
    with scope.organization(acme.id):
        assert not Connector.objects.exists()


def test_without_a_project_the_page_leads_to_making_one(acme: Tenant, sign_in: SignIn) -> None:
    browser = sign_in(acme)
    way = reverse("admin:tenancy_project_make")
    page = reverse("admin:connectors_connector_claim")
    assert way not in browser.get(page).content.decode()
    with scope.organization(acme.id):
        Project.objects.update(status="suspended")
    assert way in browser.get(page).content.decode()


def test_projects_of_one_name_are_told_apart(acme: Tenant, sign_in: SignIn) -> None:
    with scope.organization(acme.id):
        other, _ = tenancy.workspace_ensure(organization_id=acme.id, name="elsewhere", actor=None)
        tenancy.project_ensure(workspace=other, name="Acme project", actor=None)
    page = sign_in(acme).get(reverse("admin:connectors_connector_claim")).content.decode()
    assert "main/Acme project" in page
    assert "elsewhere/Acme project" in page
    operators = sign_in().get(reverse("admin:connectors_connector_claim")).content.decode()
    assert "Acme: elsewhere/Acme project" in operators
