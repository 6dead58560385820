"""Every URL of the admin, as its registry has them, for another tenant's owner: what is not theirs is not there."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.urls import URLPattern, reverse

from cloud.console.tenant_admin import TenantAdmin
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from tests.integration.cloud.console.conftest import SignIn
from tests.integration.cloud.everything import everything_make
from tests.integration.cloud.tenants import Tenant

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("undrawn")]

# A waiting machine is nobody's yet, the worker's tasks and what is polled are the installation's: pages for operators.
_NO_TENANT = {"connectors_pendingconnector", "schedules_scheduledtask", "polling_pollstate"}


def _pages() -> Iterator[tuple[str, str]]:
    """(model, name of a URL that takes one of its rows), of everything that is registered."""
    for page in admin.site._registry.values():
        model = f"{page.opts.app_label}_{page.opts.model_name}"
        if not isinstance(page, TenantAdmin) or model in _NO_TENANT:
            continue
        for pattern in page.get_urls():
            if isinstance(pattern, URLPattern) and pattern.name and "object_id" in str(pattern.pattern):
                yield model, pattern.name


PAGES = sorted(set(_pages()))


def test_the_matrix_knows_the_pages_that_act() -> None:
    names = {name for _, name in PAGES}
    assert {
        "access_token_rotate",
        "connectors_connector_release",
        "runs_gatesnapshot_decide",
        "runs_stepsnapshot_artifact",
        "tenancy_membership_remove",
    } <= names
    assert len(PAGES) > 60


@pytest.fixture
def theirs(globex: Tenant, make_member: Any) -> dict[str, Any]:
    """The key of a row of Globex in every table."""
    make_member(globex, Role.ORG_OWNER)
    everything_make(globex)
    found: dict[str, Any] = {}
    with scope.operator():
        for page in admin.site._registry.values():
            if isinstance(page, TenantAdmin):
                model = f"{page.opts.app_label}_{page.opts.model_name}"
                column = "id" if model == "tenancy_organization" else "organization_id"
                if model not in _NO_TENANT:
                    found[model] = page.model._default_manager.filter(**{column: globex.id}).values_list("pk")[0][0]
    return found


def _url(name: str, key: Any) -> str:
    more = ["art_" + "0" * 26] if name == "runs_stepsnapshot_artifact" else []
    return reverse(f"admin:{name}", args=[key, *more])


@pytest.mark.parametrize("who", ["an owner", "a workspace's admin"])
def test_another_tenants_rows_are_not_there_whatever_is_asked_of_them(
    acme: Tenant, sign_in: SignIn, theirs: dict[str, Any], make_member: Any, who: str
) -> None:
    bound = {} if who == "an owner" else {"workspace": acme.workspace}
    make_member(acme, Role.ORG_OWNER)
    everything_make(acme)
    browser = sign_in(acme, Role.ORG_OWNER if who == "an owner" else Role.WORKSPACE_ADMIN, **bound)
    # Who may not open a kind of page at all hears so alike of every row, also of one that never was.
    allowed = {404} if who == "an owner" else {404, 403}
    wrong = {}
    for model, name in PAGES:
        url = _url(name, theirs[model])
        answers = {browser.get(url).status_code, browser.post(url, {"version": "1"}).status_code}
        if not answers <= allowed | {405}:
            wrong[name] = answers
    assert wrong == {}


def test_a_row_that_never_was_and_anothers_are_answered_alike(
    acme: Tenant, sign_in: SignIn, theirs: dict[str, Any]
) -> None:
    browser = sign_in(acme, Role.PROJECT_VIEWER)
    differing = []
    for model, name in PAGES:
        never = "0190a000-0000-7000-8000-000000000000" if len(str(theirs[model])) == 36 else "999999999"
        answers = [browser.get(_url(name, key)).status_code for key in (theirs[model], never)]
        if answers[0] != answers[1] or answers[0] not in {403, 404}:
            differing.append((name, answers))
    assert differing == []


def test_people_of_another_tenant_are_not_there(
    acme: Tenant, globex: Tenant, sign_in: SignIn, make_member: Any
) -> None:
    stranger = make_member(globex, Role.ORG_OWNER).user
    browser = sign_in(acme)
    for name in ("change", "delete", "history"):
        assert browser.get(reverse(f"admin:accounts_user_{name}", args=[stranger.pk])).status_code == 404
    assert browser.get(reverse("admin:auth_user_password_change", args=[stranger.pk])).status_code == 404
