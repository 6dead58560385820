"""What is shown instead of a page is in the admin's look, says what to do, and does not say what there is."""

import pytest
from django.db import connection
from django.http import Http404, HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse

from cloud.config import urls as real
from cloud.console import content_policy
from cloud.permissions.roles import Role
from tests.integration.cloud.console.conftest import SignIn
from tests.integration.cloud.tenants import Tenant

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

NOBODYS = "01900000-0000-7000-8000-000000000000"


def breaks(request: HttpRequest) -> None:
    raise RuntimeError("a secret of ours")


def misses(request: HttpRequest) -> None:
    raise Http404("a secret of ours")


urlpatterns = [path("breaks/", breaks), path("api/breaks/", breaks), path("misses/", misses), path("", include(real))]
handler400, handler403, handler404, handler500 = real.handler400, real.handler403, real.handler404, real.handler500


def sorry(page: str) -> str:
    """The words of it."""
    assert 'href="/static/console/console.css"' in page
    return page.partition('id="sorry"')[2].partition("</section>")[0]


def test_what_is_another_tenants_reads_as_what_never_was(acme: Tenant, globex: Tenant, sign_in: SignIn) -> None:
    browser = sign_in(acme)
    projects = "/admin/tenancy/project"
    theirs, nobodys, nowhere = (
        browser.get(address)
        for address in (f"{projects}/{globex.project.id}/change/", f"{projects}/{NOBODYS}/change/", "/admin/nowhere/")
    )
    assert theirs.status_code == nobodys.status_code == nowhere.status_code == 404
    assert sorry(theirs.content.decode()) == sorry(nobodys.content.decode()) == sorry(nowhere.content.decode())
    assert "Nothing here" in sorry(theirs.content.decode())
    assert str(globex.project.id) not in theirs.content.decode()
    assert "Globex" not in theirs.content.decode()


def test_who_is_signed_in_keeps_the_way_to_the_other_pages(acme: Tenant, sign_in: SignIn) -> None:
    page = sign_in(acme, Role.PROJECT_VIEWER).get("/admin/access/token/")
    assert page.status_code == 403
    assert "Your role in this organization does not allow this" in page.content.decode()
    assert f'href="{reverse("admin:runs_runsnapshot_changelist")}"' in page.content.decode()
    assert f'href="{reverse("admin:access_token_changelist")}"' not in page.content.decode()


@pytest.mark.parametrize("address", ["/misses/", "/nowhere", "/join"])
def test_who_is_not_signed_in_is_told_no_more_than_that(address: str) -> None:
    with CaptureQueriesContext(connection) as seen:
        page = Client().get(address)
    assert page.status_code == 404
    assert "Nothing here" in sorry(page.content.decode())
    assert "secret" not in page.content.decode()
    assert reverse("admin:runs_runsnapshot_changelist") not in page.content.decode()
    assert len(seen) == 0


def test_what_broke_is_not_told_and_the_database_not_asked(acme: Tenant, sign_in: SignIn) -> None:
    browser = sign_in(acme)
    browser.raise_request_exception = False
    expected = len(queries_of(browser, "/misses/"))
    answer = browser.get("/breaks/")
    assert answer.status_code == 500
    assert "Something broke here" in sorry(answer.content.decode())
    assert "secret" not in answer.content.decode()
    assert len(queries_of(browser, "/breaks/")) < expected


def queries_of(browser: Client, address: str) -> list[str]:
    with CaptureQueriesContext(connection) as seen:
        browser.get(address)
    return [query["sql"] for query in seen.captured_queries]


def test_a_program_is_told_in_its_own_form_that_something_broke() -> None:
    answer = Client(raise_request_exception=False).get("/api/breaks/")
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/problem+json")
    assert answer.json()["code"] == "internal"


def test_a_form_without_its_token_says_to_load_the_page_anew(acme: Tenant) -> None:
    answer = Client(enforce_csrf_checks=True).post(reverse("admin:login"), {"username": "a", "password": "b"})
    assert answer.status_code == 403
    assert "load the page anew" in sorry(answer.content.decode())


@pytest.mark.parametrize(("address", "status"), [("/misses/", 404), ("/breaks/", 500)])
def test_the_pages_keep_to_the_content_policy(address: str, status: int) -> None:
    answer = Client(raise_request_exception=False).get(address)
    assert (answer.status_code, answer.headers["Content-Security-Policy"]) == (status, content_policy.POLICY)
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("host", ["elsewhere.example", "no!host"])
def test_what_comes_by_a_name_that_is_not_ours_is_refused_in_the_form_of_who_asks(host: str) -> None:
    page = Client().get("/admin/", headers={"Host": host})
    assert (page.status_code, "This could not be read" in sorry(page.content.decode())) == (400, True)
    assert host not in page.content.decode()
    told = Client().get("/api/cloud/v1/memberships", headers={"Host": host})
    assert (told.status_code, told.headers["Content-Type"]) == (400, "application/problem+json")
    assert told.json()["code"] == "invalid_request"
