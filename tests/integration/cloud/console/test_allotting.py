"""Limits on pages: who sees what is left, who sets what, and that nothing is overwritten unseen."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from cloud.access.models import Token
from cloud.audit.models import AuditEvent
from cloud.limits import standings
from cloud.limits.models import Limit
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.console.conftest import SignIn
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    standings.standings_forget()


@pytest.fixture
def token(acme: Tenant, make_member: MakeMember, make_token: MakeToken) -> Token:
    return make_token(make_member(acme, Role.ORG_ADMIN))[0]


def set_limits(browser: Client, url: str, **given: Any) -> Any:
    return browser.post(url, {"version": "0", **given}, follow=True)


def limits_of(tenant: Tenant) -> list[tuple[Any, ...]]:
    with scope.organization(tenant.id):
        columns = ("token_id", "calls_per_minute", "artifact_bytes_per_day", "cost_micros_per_month", "version")
        return list(Limit.objects.values_list(*columns))


def test_an_administrator_sets_what_a_token_may_use(acme: Tenant, sign_in: SignIn, token: Token) -> None:
    url = reverse("admin:access_token_limits", args=[token.pk])
    browser = sign_in(acme)
    page = set_limits(browser, url, calls_per_minute="60", artifact_bytes_per_day="500", cost_micros_per_month="0.25")
    assert limits_of(acme) == [(token.pk, 60, 500_000_000, 250_000, 1)]
    asked = page.context["form"]
    assert [asked[name].value() for name in ("artifact_bytes_per_day", "cost_micros_per_month")] == ["500", "0.25"]
    shown = page.content.decode()
    assert "The limits of planner are set." in shown
    for cell in ("<td>60</td>", "<td>$0.25</td>", "<td>500.00 MB</td>", "<td>here</td>", "00:00 UTC"):
        assert cell in shown
    with scope.organization(acme.id):
        told = AuditEvent.objects.get(event_type="limit:changed")
        assert (told.actor_kind, told.target_id) == ("user", str(token.pk))


def test_of_two_who_set_them_at_once_the_second_is_told(acme: Tenant, sign_in: SignIn, token: Token) -> None:
    url = reverse("admin:access_token_limits", args=[token.pk])
    browser = sign_in(acme)
    assert 'name="version" value="0"' in browser.get(url).content.decode()
    set_limits(browser, url, calls_per_minute="60")
    late = set_limits(browser, url, calls_per_minute="6000")
    assert late.status_code == 412
    assert "Somebody changed this while you looked at it" in late.content.decode()
    assert limits_of(acme)[0][1] == 60


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"calls_per_minute": "0"}, "greater than or equal to 1"),
        ({"calls_per_minute": "many"}, "Enter a whole number."),
        ({"runs_at_once": "-1"}, "greater than or equal to 0"),
        ({"cost_micros_per_month": "0.0000001"}, "no more than 6 decimal places"),
        ({"cost_micros_per_month": "99999999999999"}, "less than or equal to"),
        ({"calls_burst": "5"}, "Says nothing without calls_per_minute."),
    ],
)
def test_what_is_no_limit_is_refused_beside_its_field(
    acme: Tenant, sign_in: SignIn, token: Token, given: dict[str, str], said: str
) -> None:
    page = set_limits(sign_in(acme), reverse("admin:access_token_limits", args=[token.pk]), **given)
    (field,) = given
    assert any(said in fault for fault in page.context["form"].errors[field])
    assert limits_of(acme) == []


def test_an_organizations_are_set_by_an_operator_and_seen_by_its_own(acme: Tenant, sign_in: SignIn) -> None:
    url = reverse("admin:tenancy_organization_limits", args=[acme.id])
    set_limits(sign_in(), url, runs_at_once="3", calls_per_minute="600")
    owner = sign_in(acme)
    shown = owner.get(reverse("admin:limits_limit_own"), follow=True).content.decode()
    assert "<td>3</td>" in shown
    assert "operators set them" in shown
    assert "Set them" not in shown
    assert set_limits(owner, url, runs_at_once="30").status_code == 403
    with scope.organization(acme.id):
        assert Limit.objects.get().runs_at_once == 3


def test_a_part_of_an_organization_does_not_see_what_all_of_it_uses(acme: Tenant, sign_in: SignIn) -> None:
    browser = sign_in(acme, Role.PROJECT_OPERATOR, project=acme.project)
    assert browser.get(reverse("admin:tenancy_organization_limits", args=[acme.id])).status_code == 403


def test_a_limit_in_the_list_opens_where_it_is_set(acme: Tenant, sign_in: SignIn, token: Token) -> None:
    browser = sign_in(acme)
    set_limits(browser, reverse("admin:access_token_limits", args=[token.pk]), calls_per_minute="60")
    with scope.organization(acme.id):
        row = Limit.objects.get()
    page = browser.get(reverse("admin:limits_limit_change", args=[row.pk]), follow=True)
    assert page.request["PATH_INFO"] == reverse("admin:access_token_limits", args=[token.pk])
