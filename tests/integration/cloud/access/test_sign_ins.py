"""Who came in, who left and who failed to, in the audit of the organizations they belong to."""

import pytest
from django.test import Client

from cloud.audit.models import AuditEvent
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"


def told(tenant: Tenant) -> list[tuple[str, str, str, str | None]]:
    with scope.organization(tenant.id):
        events = AuditEvent.objects.filter(event_type__startswith="user:").order_by("at")
        return list(events.values_list("event_type", "actor_label", "outcome", "client_address"))


def test_signing_in_and_out_is_told_with_who_and_from_where(
    acme: Tenant, globex: Tenant, make_member: MakeMember
) -> None:
    member = make_member(acme, Role.ORG_ADMIN)
    email = member.user.email
    browser = Client()
    browser.post(LOGIN, {"username": email, "password": "a long password"})
    browser.post("/admin/logout/")
    assert told(acme) == [
        ("user:signed_in", email, "ok", "127.0.0.1"),
        ("user:signed_out", email, "ok", "127.0.0.1"),
    ]
    assert told(globex) == []


def test_a_failed_sign_in_is_told_without_saying_that_it_was_that_person(acme: Tenant, make_member: MakeMember) -> None:
    member = make_member(acme, Role.ORG_ADMIN)
    Client().post(LOGIN, {"username": member.user.email.upper(), "password": "a wrong password"})
    assert told(acme) == [("user:sign_in_failed", "", "error", "127.0.0.1")]


def test_a_stranger_is_told_to_nobody(acme: Tenant) -> None:
    Client().post(LOGIN, {"username": "nobody@example.com", "password": "a wrong password"})
    assert told(acme) == []
