from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from cloud.accounts.models import User
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from cloud.tenancy.models import Membership
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

SignIn = Callable[..., Client]


def seen(browser: Client) -> list[str]:
    rows = browser.get(reverse("admin:tenancy_organization_changelist")).context["cl"].result_list
    return [row.name for row in rows]


@pytest.fixture
def browser_of_two(acme: Tenant, globex: Tenant, sign_in: SignIn) -> Client:
    """Somebody who is a member of Acme, and then of Globex."""
    browser = sign_in(acme)
    user = User.objects.get()
    with scope.organization(globex.id):
        Membership.objects.create(organization_id=globex.id, user=user, role=Role.ORG_ADMIN)
    return browser


def test_one_looks_at_one_organization_at_a_time(acme: Tenant, globex: Tenant, browser_of_two: Client) -> None:
    assert seen(browser_of_two) == ["Acme"]
    page = browser_of_two.get(reverse("switch-organization")).content.decode()
    assert "Globex" in page
    browser_of_two.post(reverse("switch-organization"), {"organization": str(globex.id)})
    assert seen(browser_of_two) == ["Globex"]


def test_one_cannot_choose_an_organization_one_is_not_a_member_of(
    acme: Tenant, globex: Tenant, sign_in: SignIn
) -> None:
    browser = sign_in(acme)
    browser.post(reverse("switch-organization"), {"organization": str(globex.id)})
    assert seen(browser) == ["Acme"]


def test_a_membership_that_ends_takes_the_page_along(acme: Tenant, globex: Tenant, browser_of_two: Client) -> None:
    browser_of_two.post(reverse("switch-organization"), {"organization": str(globex.id)})
    with scope.operator():
        Membership.objects.filter(organization_id=globex.id).update(status="disabled")
    assert seen(browser_of_two) == ["Acme"]
