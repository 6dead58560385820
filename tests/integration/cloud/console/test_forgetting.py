"""Somebody who forgot their password: an administrator makes a link, and they choose another one."""

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from cloud.permissions.roles import Role
from cloud.tenancy.models import Membership
from tests.integration.cloud.console.conftest import SignIn
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

PHRASE = "another long phrase"


def test_a_member_chooses_another_password_and_signs_in_with_it(
    acme: Tenant, sign_in: SignIn, make_member: Callable[..., Membership]
) -> None:
    member = make_member(acme, Role.PROJECT_VIEWER)
    still_there = Client()
    still_there.force_login(member.user)
    page = sign_in(acme).post(reverse("admin:tenancy_membership_password_link", args=[member.pk]))
    assert "no-store" in page.headers["Cache-Control"]
    found = re.search(r'<code id="secret">http://testserver([^<]+)</code>', page.content.decode())
    assert found
    somebody = Client()
    assert member.user.email in somebody.get(found[1]).content.decode()
    weak = somebody.post(found[1], {"password": "password"})
    assert "too weak" in weak.content.decode()
    assert somebody.post(found[1], {"password": PHRASE}).headers["Location"] == reverse("admin:login")
    assert somebody.get(found[1]).status_code == 404
    # Whoever had the old one is out.
    assert still_there.get(reverse("admin:index")).status_code == 302
    signed = somebody.post(reverse("admin:login"), {"username": member.user.email, "password": PHRASE})
    assert signed.status_code == 302
    assert somebody.get(reverse("admin:runs_runsnapshot_changelist")).status_code == 200
