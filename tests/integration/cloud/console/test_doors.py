"""Signing in and out leads to pages of ours and nowhere else, whatever an address says."""

from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import reverse

from cloud.permissions.roles import Role
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

ELSEWHERE = [
    "//evil.example/", "https://evil.example/admin/", "/\\evil.example", "https:evil.example", "javascript:alert(1)",
    "///evil.example", "\thttps://evil.example", "http://testserver@evil.example/",
]  # fmt: skip


@pytest.mark.parametrize("address", ELSEWHERE)
def test_who_signs_in_or_out_is_led_nowhere_else(acme: Tenant, make_member: MakeMember, address: str) -> None:
    person, browser = make_member(acme, Role.ORG_OWNER).user, Client()
    given = {"username": person.email, "password": "a long password", "next": address}
    door = reverse("admin:login")
    for asked in ({"path": door, "data": given}, {"path": f"{door}?next={quote(address)}", "data": given}):
        answer = browser.post(**asked)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/")
        assert "evil" not in answer.headers["Location"]
        # Who is in already is led to the pages.
        assert "evil" not in browser.get(door, {"next": address}).headers["Location"]
        out = browser.post(reverse("admin:logout"), {"next": address})
        assert "evil" not in out.headers.get("Location", "")
        assert "alert(1)" not in out.headers.get("Location", "")


def test_who_was_sent_to_the_door_is_led_on_to_where_they_wanted(acme: Tenant, make_member: MakeMember) -> None:
    person, wanted = make_member(acme, Role.ORG_OWNER).user, reverse("admin:runs_runsnapshot_changelist")
    given = {"username": person.email, "password": "a long password", "next": wanted}
    assert Client().post(reverse("admin:login"), given).headers["Location"] == wanted


def test_who_knows_the_address_only_is_led_to_the_door() -> None:
    answer = Client().get("/?next=https://evil.example", follow=True)
    assert [place for place, _ in answer.redirect_chain] == ["/admin/", "/admin/login/?next=/admin/"]
