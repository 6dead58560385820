"""Every list filters, searches and pages, and a longer one takes no more queries."""

import copy
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.core.handlers.wsgi import WSGIRequest
from django.db import connection, models
from django.http import QueryDict
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cloud.console import lists
from cloud.console.tenant_admin import RowOrNothing, TenantAdmin
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from tests.integration.cloud import everything
from tests.integration.cloud.console.conftest import SignIn
from tests.integration.cloud.everything import everything_make
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

PAGES = {
    f"{page.opts.app_label}_{page.opts.model_name}": page
    for page in admin.site._registry.values()
    if isinstance(page, TenantAdmin) and page.opts.model_name not in {"pendingconnector", "scheduledtask", "pollstate"}
}
# One row an organization, or a token: there are no fifty.
SINGLE = {"tenancy_organization", "audit_auditrollupcursor", "limits_limit"}


def more(model: type[models.Model], tenant: Tenant, count: int) -> None:
    """So many more rows like one that is there, each different where it has to be."""
    with scope.organization(tenant.id):
        pattern = model._default_manager.first()
        assert pattern is not None
        unique = {name for constraint in model._meta.constraints for name in getattr(constraint, "fields", ())}
        unique |= {field.name for field in model._meta.fields if field.unique}
        already = model._default_manager.count()
        rows = []
        for number in range(already, already + count):
            facts: dict[str, Any] = {}
            for field in model._meta.concrete_fields:
                if field.primary_key and (field.has_default() or isinstance(field, models.AutoField)):
                    continue
                value = getattr(pattern, field.attname)
                if field.name in unique and not isinstance(field, models.ForeignKey):
                    value = value + number if isinstance(value, int) else everything._value(field)
                facts[field.attname] = value
            rows.append(model(**facts))
        model._default_manager.bulk_create(rows)


def test_every_list_can_be_filtered_and_searched() -> None:
    pages = [page for page in admin.site._registry.values() if isinstance(page, TenantAdmin)]
    assert [page.opts.label for page in pages if not page.list_filter] == []
    assert [page.opts.label for page in pages if not page.search_fields] == []


@pytest.mark.parametrize("name", sorted(PAGES.keys() - SINGLE))
def test_fifty_rows_take_no_more_queries_than_five(
    acme: Tenant, sign_in: SignIn, make_member: Callable[..., Any], make_connector: Callable[..., Any], name: str
) -> None:
    model, browser = PAGES[name].model, sign_in(acme)
    everything_make(acme)

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            page = browser.get(reverse(f"admin:{name}_changelist"))
        assert page.status_code == 200
        return len(seen)

    def grow(count: int) -> None:
        if name == "tenancy_membership":
            for _ in range(count):
                make_member(acme, Role.PROJECT_VIEWER)
        elif name == "connectors_claim":
            for _ in range(count):
                make_connector(acme)
        else:
            more(model, acme, count)

    grow(5)
    few = queries()
    grow(45)
    assert queries() <= few <= 16


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_filter_and_search_of_a_list_answers(acme: Tenant, sign_in: SignIn, name: str) -> None:
    """Each choice and word is asked of the database; what differs by a word is drawn together."""
    browser = sign_in(acme)
    everything_make(acme)
    path = reverse(f"admin:{name}_changelist")
    page = browser.get(path)
    chosen: list[str] = []
    for spec in page.context["cl"].filter_specs:
        *_, last = choices = list(spec.choices(page.context["cl"]))
        chosen.append(last["query_string"].removeprefix("?"))
        for choice in choices:
            listed(acme, page.wsgi_request, name, choice["query_string"])
    assert browser.get(f"{path}?{'&'.join(chosen)}").status_code == 200
    for term in ("x", "7", "words of anything", "run_" + "0" * 26, "0190a000-0000-7000-8000-000000000000"):
        listed(acme, page.wsgi_request, name, urlencode({"q": term}))
    for term in ("a b ' % \\ \x7f", "\x00"):
        assert browser.get(path, {"q": term}).status_code == 200
    assert browser.get(path, {"p": "2"}).status_code in {200, 302}


def listed(tenant: Tenant, seen_by: WSGIRequest, name: str, query: str) -> list[Any]:
    """What the list holds for that query, to who made the request; nothing is drawn."""
    # The same person, of whom is known by now what they are.
    asked = copy.copy(seen_by)
    asked.GET = QueryDict(query.removeprefix("?"))
    with scope.organization(tenant.id):
        return list(PAGES[name].get_changelist_instance(asked).result_list)


def test_a_list_counts_to_its_bound_and_says_that_there_is_more(
    acme: Tenant, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "COUNTED_MAX", 3)
    browser = sign_in(acme)
    everything_make(acme)
    more(PAGES["runs_runsnapshot"].model, acme, 5)
    page = browser.get(reverse("admin:runs_runsnapshot_changelist"))
    assert page.context["cl"].result_count == 3
    assert "and more: filter or search" in page.content.decode()


def test_the_dashboard_takes_as_many_queries_with_fifty_rows_as_with_five(acme: Tenant, sign_in: SignIn) -> None:
    browser = sign_in(acme)
    everything_make(acme)

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert browser.get(reverse("admin:index")).status_code == 200
        return len(seen)

    def grow(count: int) -> None:
        for name in ("runs_runsnapshot", "runs_gatesnapshot", "runs_stepsnapshot", "connectors_connector"):
            more(PAGES[name].model, acme, count)

    grow(5)
    few = queries()
    grow(45)
    assert queries() <= few <= 32


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("connectors_connector", {"health": "a\x00"}),
        ("connectors_connector", {"health": "nonsense"}),
        ("audit_auditevent", {"event_type": "a\x00"}),
        ("audit_auditevent", {"to": "9999-12-31"}),
        ("audit_auditevent", {"from": "0001-01-01"}),
    ],
)
def test_a_filter_written_by_hand_chooses_nothing_that_is_not_offered(
    acme: Tenant, sign_in: SignIn, name: str, written: dict[str, str]
) -> None:
    browser, path = sign_in(acme), reverse(f"admin:{name}_changelist")
    everything_make(acme)
    plain, answer = browser.get(path), browser.get(path, written)
    assert answer.status_code == 200
    assert answer.context["cl"].result_count == plain.context["cl"].result_count > 0


@pytest.mark.parametrize("page", admin.site._registry.values(), ids=lambda page: page.opts.label)
def test_no_column_of_a_list_is_guessed_letter_by_letter(page: ModelAdmin) -> None:
    """Of what no page shows as of what it does: a list takes its filters' words, and no pattern."""
    if not isinstance(page, RowOrNothing):
        return
    request = RequestFactory().get("/")
    for column in page.model._meta.concrete_fields:
        for asked in ("startswith", "contains", "regex", "gt", "range"):
            for name in {column.name, column.attname}:
                assert not page.lookup_allowed(f"{name}__{asked}", "a", request), (name, asked)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("access_token", "digest"),
        ("accounts_user", "password"),
        ("connectors_enrollmentcode", "digest"),
        ("dispatch_operationcall", "request"),
        ("dispatch_operationcall", "idempotency_key"),
        ("tenancy_invitation", "digest"),
        ("tenancy_membership", "user__password"),
    ],
)
def test_what_a_page_does_not_show_its_list_cannot_be_asked_for(
    acme: Tenant, sign_in: SignIn, name: str, column: str
) -> None:
    browser, path = sign_in(acme), reverse(f"admin:{name}_changelist")
    everything_make(acme)
    for lookup in (column, f"{column}__startswith", f"{column}__isnull", f"{column}__in"):
        assert browser.get(path, {lookup: "a"}).status_code == 400
    assert browser.get(path, {"_to_field": column}).status_code == 400


def test_choices_of_filters_are_not_counted_over_all_rows(acme: Tenant, sign_in: SignIn) -> None:
    browser, path = sign_in(acme), reverse("admin:audit_auditevent_changelist")
    with CaptureQueriesContext(connection) as plain:
        browser.get(path)
    with CaptureQueriesContext(connection) as counted:
        browser.get(path, {"_facets": "True"})
    assert len(counted) == len(plain)


# A thousand of a year ago and ten of now, with ids that begin with their time, as they have them from life.
_EVENTS = """
    INSERT INTO audit_auditevent (id, organization_id, at, event_type, actor_kind, actor_id, actor_label, target_kind,
                                  target_id, call_id, outcome, details)
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || lpad(to_hex(n), 20, '0'))::uuid, %s, at,
           'project:updated', 'system', '', '', 'project', '', '', 'ok', '{}'
      FROM (SELECT n, now() - CASE WHEN n <= 1000 THEN interval '1 year' ELSE interval '1 minute' END AS at
              FROM generate_series(1, 1010) n) moments
"""
_SEALS = """
    INSERT INTO audit_auditseal (id, organization_id, seq, event_id, event_hash, prev_hash, hash, horizon, sealed_at)
    SELECT id, organization_id, row_number() OVER (ORDER BY id), id, '', '', '', 0, at
      FROM audit_auditevent WHERE event_type = 'project:updated'
"""
_CHECKPOINTS = """
    INSERT INTO audit_auditcheckpoint (id, organization_id, seq, hash, public_key, signature, signed_at)
    SELECT id, organization_id, seq, '', '', '', sealed_at FROM audit_auditseal
"""


@pytest.mark.parametrize("who", ["owner", "operator"])
@pytest.mark.parametrize(
    ("name", "asked", "found"),
    [
        ("audit_auditevent", {"event_type": "project:updated"}, 10),
        ("audit_auditevent", {"event_type": "project:updated", "to": "2020-01-01"}, 0),
        ("audit_auditseal", {"period": "1"}, 10),
        ("audit_auditseal", {"period": "any"}, 1010),
        ("audit_auditcheckpoint", {"period": "1"}, 10),
    ],
)
def test_a_period_is_looked_up_by_what_has_an_index(
    acme: Tenant, sign_in: SignIn, who: str, name: str, asked: dict[str, str], found: int
) -> None:
    """By ids and numbers of links: no index of the audit is by time, and a record of a million would be read whole."""
    browser, table = sign_in(acme) if who == "owner" else sign_in(), PAGES[name].model._meta.db_table
    with scope.organization(acme.id), connection.cursor() as cursor:
        cursor.execute(_EVENTS, [acme.id])
        cursor.execute(_SEALS)
        cursor.execute(_CHECKPOINTS)
    with CaptureQueriesContext(connection) as seen:
        page = browser.get(reverse(f"admin:{name}_changelist"), asked)
    assert page.context["cl"].result_count == found
    asked_for = [query["sql"].partition("WHERE")[2] for query in seen.captured_queries if table in query["sql"]]
    assert len(asked_for) >= 2
    assert [words for words in asked_for if re.search(r'"(at|sealed_at|signed_at)" [<>]', words)] == []


def test_counting_a_list_asks_for_nothing_but_its_rows(acme: Tenant, sign_in: SignIn) -> None:
    browser = sign_in(acme)
    everything_make(acme)
    with CaptureQueriesContext(connection) as seen:
        browser.get(reverse("admin:audit_auditseal_changelist"))
    (counting,) = [sql for query in seen.captured_queries if "COUNT(*)" in (sql := query["sql"])]
    assert "tenancy_organization" not in counting


@pytest.mark.parametrize("name", ["runs_runsnapshot", "runs_stepsnapshot", "dispatch_operationcall"])
def test_the_rows_of_a_long_list_are_read_by_its_index_with_nothing_joined(
    acme: Tenant, sign_in: SignIn, name: str
) -> None:
    """What else a page names is read for its fifty rows: joined, a planner without statistics sorts all of them."""
    browser, table = sign_in(acme), PAGES[name].model._meta.db_table
    everything_make(acme)
    with CaptureQueriesContext(connection) as seen:
        page = browser.get(reverse(f"admin:{name}_changelist"))
    assert acme.project.name in page.content.decode()
    (rows,) = [sql for query in seen.captured_queries if f'ORDER BY "{table}"' in (sql := query["sql"])]
    assert "JOIN" not in rows
