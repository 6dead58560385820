"""The audit's list: filtered by days and projects, exported as it is filtered, and leading to what it tells of."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.audit.models import AuditEvent
from cloud.tenancy import scope
from tests.integration.cloud.console.conftest import SignIn
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

LIST = "admin:audit_auditevent_changelist"


def tell(tenant: Tenant, name: str, **facts: Any) -> None:
    with scope.organization(tenant.id):
        audit.event_record(
            event_type=EventType.PROJECT_UPDATED,
            principal=None,
            organization_id=tenant.id,
            target_kind="project",
            target_id=name,
            **facts,
        )


def seen(browser: Client, **query: str) -> set[str]:
    rows = browser.get(reverse(LIST), query).context["cl"].result_list
    return {row.target_id for row in rows if row.event_type == "project:updated"}


def test_only_the_chosen_projects_events_are_listed(acme: Tenant, sign_in: SignIn) -> None:
    tell(acme, "of it", project_id=acme.project.id)
    tell(acme, "of none")
    assert seen(sign_in(acme), project=str(acme.project.id)) == {"of it"}


def test_days_are_chosen_from_one_to_another_instead_of_a_period(acme: Tenant, sign_in: SignIn) -> None:
    tell(acme, "today")
    browser, today = sign_in(acme), datetime.now(UTC).date()
    days = {name: str(today + timedelta(days=away)) for name, away in (("before", -1), ("today", 0), ("after", 1))}
    assert seen(browser, **{"from": days["today"], "to": days["today"]}) == {"today"}
    assert seen(browser, **{"from": days["before"]}) == {"today"}
    assert seen(browser, to=days["today"]) == {"today"}
    assert seen(browser, to=days["before"]) == set()
    assert seen(browser, **{"from": days["after"]}) == set()
    assert seen(browser, **{"from": "yesterday", "to": "1-2-3"}) == {"today"}


def test_choosing_days_keeps_the_other_filters(acme: Tenant, sign_in: SignIn) -> None:
    page = sign_in(acme).get(reverse(LIST), {"outcome__exact": "ok", "period": "30"}).content.decode()
    form = page.partition('class="console-span"')[2].partition("</form>")[0]
    assert 'name="outcome__exact" value="ok"' in form
    assert 'name="period"' not in form


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_the_buttons_export_what_the_list_shows(acme: Tenant, sign_in: SignIn, form: str) -> None:
    browser = sign_in(acme)
    day = "2026-11-05"
    shown = browser.get(reverse(LIST), {"event_type": "project:updated", "from": day, "to": "2026-11-07", "q": "x y"})
    found = re.search(rf'href="([^"]*export\.{form}/[^"]*)"', shown.content.decode())
    assert found
    address = found[1].replace("&amp;", "&")
    assert parse_qs(urlsplit(address).query) == {
        "event_type": ["project:updated"], "from": [day], "to": ["2026-11-07"], "q": ["x y"],
    }  # fmt: skip
    answer = browser.get(address)
    assert answer.status_code == 200
    name = f"audit-from-{day}-to-2026-11-07.{form}"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'


def test_an_export_of_what_no_list_filters_by_is_refused(acme: Tenant, sign_in: SignIn) -> None:
    answer = sign_in(acme).get("/admin/audit/auditevent/export.csv/", {"outcome__nonsense": "1"})
    assert answer.status_code == 400


def test_an_event_leads_to_what_it_tells_of(acme: Tenant, sign_in: SignIn) -> None:
    tell(acme, str(acme.project.id))
    tell(acme, "<b>no id</b>")
    browser = sign_in(acme)
    page = browser.get(reverse(LIST)).content.decode()
    assert f'href="{reverse("admin:tenancy_project_change", args=[acme.project.id])}"' in page
    assert "<b>no id</b>" not in page
    with scope.organization(acme.id):
        row = AuditEvent.objects.filter(target_id=str(acme.project.id)).latest("id")
    one = browser.get(reverse("admin:audit_auditevent_change", args=[row.pk])).content.decode()
    assert reverse("admin:tenancy_project_change", args=[acme.project.id]) in one
