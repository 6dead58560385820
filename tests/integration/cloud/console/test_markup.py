"""What planners, machines and people say is text on every page, whatever it says: lists, rows, and pages that act.

Markup that runs nothing by itself would do harm here: the theme's scripts read the attributes of whatever is there."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.db import models, transaction
from django.test import Client
from django.urls import URLPattern, reverse
from pytest_django.plugin import DjangoDbBlocker

from cloud.accounts.models import User
from cloud.connectors.models import Connector, Instance
from cloud.console.tenant_admin import TenantAdmin
from cloud.permissions.roles import Role
from cloud.schedules.models import RunSchedule
from cloud.tenancy import scope
from cloud.tenancy.models import Organization, Project, Workspace
from tests.integration.cloud import everything
from tests.integration.cloud.tenants import member_make, tenant_make

MARKUP = "'\"><img src=x onerror=alert(1)>"
SHOWN = "&lt;img src=x"
# What is read as more than words: a time, a clock, an address of ours.
_READ = frozenset({"cron", "time_zone", "slug", "status", "state"})
_TOLD = ("objective", "reason", "question", "summary", "decided_by", "comment", "name")
_VIEW = {
    **dict.fromkeys(_TOLD, MARKUP),
    "failure": {"kind": MARKUP, "detail": MARKUP},
    "warnings": [MARKUP],
    "step_counts": {MARKUP: 1},
    "attempts": 1,
}
_DOCUMENTS: dict[str, Any] = {
    "view": _VIEW,
    "record": {"data": {MARKUP: {"state": MARKUP, "reason": MARKUP}}},
    "details": {MARKUP: [MARKUP]},
    "machine": {MARKUP: MARKUP},
    "tasks": [{"goal": MARKUP, "executor": MARKUP}],
}


def _hostile(field: models.Field, plain: Any) -> Any:
    """A column's value, in which whoever may write it says what they can."""
    if isinstance(field, models.JSONField):
        return _DOCUMENTS.get(field.name, plain(field))
    is_said = isinstance(field, models.CharField | models.TextField) and not isinstance(field, models.EmailField)
    if not is_said or field.choices or field.name in _READ:
        return plain(field)
    return MARKUP[: field.max_length]


@pytest.fixture(scope="module")
def browsers(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[dict[str, Client]]:
    """Of an owner and of an operator, where whatever can say something says the worst; rolled back at the end."""
    plain = everything._value
    with pytest.MonkeyPatch.context() as patched, django_db_blocker.unblock(), transaction.atomic():
        patched.setattr(everything, "_value", lambda field: _hostile(field, plain))
        acme = tenant_make("Acme")
        owner, operator = member_make(acme, Role.ORG_OWNER).user, User.objects.create_superuser("o@example.com", "x")
        everything.everything_make(acme)
        with scope.organization(acme.id):
            for model in (Organization, Workspace, Project):
                model._default_manager.update(name=MARKUP)
            Connector.objects.update(link_owner="", label=MARKUP, link_address=None)
            Instance.objects.update(executors=[MARKUP], missing_since=None)
            RunSchedule.objects.update(manifest=None, next_due_at=datetime(2099, 1, 1, tzinfo=UTC))
        User.objects.filter(pk=owner.pk).update(full_name=MARKUP)
        found = {}
        for who, user in (("owner", owner), ("operator", operator)):
            found[who] = Client()
            found[who].force_login(user)
        yield found
        transaction.set_rollback(True)


def _addresses(page: TenantAdmin, key: Any) -> Iterator[str]:
    """Every page of a model: of all rows, and of one."""
    for pattern in page.get_urls():
        if not isinstance(pattern, URLPattern) or not pattern.name or "export" in pattern.name:
            continue
        parts = str(pattern.pattern)
        if "artifact" in parts or parts.endswith("tail/"):
            continue
        yield reverse(f"admin:{pattern.name}", args=[key] if "object_id" in parts else [])


PAGES = {
    f"{page.opts.app_label}_{page.opts.model_name}": page
    for page in admin.site._registry.values()
    if isinstance(page, TenantAdmin)
}
# Of these the owner sees none, and the operator what is the installation's.
_NO_TENANT = {"connectors_pendingconnector", "schedules_scheduledtask", "polling_pollstate"}
SAY_MUCH = {
    "access_token", "connectors_connector", "connectors_location", "dispatch_operationcall", "runs_gatesnapshot",
    "runs_runsnapshot", "runs_stepsnapshot", "schedules_runschedule", "tenancy_project",
}  # fmt: skip


@pytest.mark.parametrize("who", ["owner", "operator"])
@pytest.mark.parametrize("name", sorted(PAGES.keys() - _NO_TENANT))
def test_markup_is_shown_and_is_none(browsers: dict[str, Client], who: str, name: str) -> None:
    page, shown = PAGES[name], 0
    with scope.operator():
        row = page.model._default_manager.first()
    assert row is not None
    for address in _addresses(page, row.pk):
        answer = browsers[who].get(address, follow=True)
        text = answer.content.decode()
        assert answer.status_code in {200, 403, 404}, address
        assert "<img" not in text, address
        shown += SHOWN in text
    assert shown or name not in SAY_MUCH


def test_the_dashboard_takes_nothing_for_markup_either(browsers: dict[str, Client]) -> None:
    text = browsers["owner"].get(reverse("admin:index")).content.decode()
    assert SHOWN in text
    assert "<img" not in text
