from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from cloud.audit.models import AuditEvent
from cloud.connectors import enrollment
from cloud.connectors.models import Claim, Connector, EnrollmentCode
from cloud.tenancy import scope
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

SignIn = Callable[..., Client]


@pytest.fixture
def claim_code(db: None) -> str:
    """The code that a waiting machine shows."""
    _, code = enrollment.connector_register_pending(**Machine().register_request())
    return code


def ask(browser: Client, tenant: Tenant, code: str, **more: str) -> Any:
    path = reverse("admin:connectors_connector_claim")
    return browser.post(path, {"claim_code": code, "project": str(tenant.project.id), **more})


def test_the_page_spells_out_what_a_claim_exposes_before_anything_happens(
    acme: Tenant, sign_in: SignIn, claim_code: str
) -> None:
    page = ask(sign_in(acme), acme, claim_code).content.decode()
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
    answer = ask(browser, acme, claim_code, confirm="1")
    with scope.organization(acme.id):
        connector = Connector.objects.get()
        assert answer.headers["Location"] == reverse("admin:connectors_connector_change", args=[connector.id])
        assert Claim.objects.get().project_id == acme.project.id
        assert AuditEvent.objects.get(event_type="connector:claimed").actor_kind == "user"


def test_a_wrong_code_says_so(acme: Tenant, sign_in: SignIn) -> None:
    page = ask(sign_in(acme), acme, "0000-0000", confirm="1")
    assert page.status_code == 200
    assert "No machine shows this claim code." in page.content.decode()


def test_another_tenants_project_cannot_be_chosen(
    acme: Tenant, globex: Tenant, sign_in: SignIn, claim_code: str
) -> None:
    browser = sign_in(acme)
    assert globex.project.name not in browser.get(reverse("admin:connectors_connector_claim")).content.decode()
    assert ask(browser, globex, claim_code, confirm="1").status_code == 200
    with scope.operator():
        assert not Connector.objects.exists()


def test_an_enrollment_code_is_told_once(acme: Tenant, sign_in: SignIn) -> None:
    browser = sign_in(acme)
    path = reverse("admin:connectors_enrollmentcode_create_code")
    assert browser.get(path).status_code == 200
    page = browser.post(path, {"label": "the builder", "minutes": "60", "project": str(acme.project.id)})
    text = page.content.decode()
    assert "no-store" in page.headers["Cache-Control"]
    code = text.split("ropeway-connector enroll ")[1].split("<")[0]
    assert enrollment.connector_enroll(**Machine().enroll_request(code)).organization_id == acme.id
    with scope.organization(acme.id):
        assert EnrollmentCode.objects.get().label == "the builder"
    assert code not in browser.get(reverse("admin:connectors_enrollmentcode_changelist")).content.decode()
