"""Guessing passwords: how often, from where, and that nobody learns by it who has an account."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.db import connections
from django.db.models import F
from django.test import Client

from cloud.access import sign_in_limits
from cloud.access.models import SignInFailures
from cloud.accounts.models import User
from cloud.audit.models import AuditEvent
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

LOGIN, RIGHT, HOME, ELSEWHERE = "/admin/login/", "a long password", "198.51.100.1", "203.0.113.9"


@pytest.fixture
def email(acme: Tenant, make_member: MakeMember) -> str:
    return str(make_member(acme, Role.ORG_ADMIN).user.email)


def tried(email: str, password: str, *, address: str = HOME) -> Any:
    return Client().post(LOGIN, {"username": email, "password": password}, REMOTE_ADDR=address)


def is_let_in(email: str, *, address: str = HOME) -> bool:
    return bool(tried(email, RIGHT, address=address).status_code == 302)


def fail(email: str, times: int, *, address: str = HOME) -> None:
    for _ in range(times):
        tried(email, "wrong", address=address)


def wait(time: timedelta) -> None:
    """As if so much time had passed."""
    SignInFailures.objects.update(ends_at=F("ends_at") - time)


def test_after_too_many_wrong_passwords_the_right_one_waits_too(email: str) -> None:
    fail(email, sign_in_limits.OF_AN_ACCOUNT)
    assert not is_let_in(email)
    assert not is_let_in(email.upper(), address=ELSEWHERE)
    wait(sign_in_limits.WINDOW)
    assert is_let_in(email)


def test_the_right_password_in_time_begins_anew(email: str) -> None:
    for _ in range(3):
        fail(email, sign_in_limits.OF_AN_ACCOUNT - 1)
        assert is_let_in(email)


def test_who_goes_on_while_refused_does_not_make_it_longer(email: str) -> None:
    fail(email, sign_in_limits.OF_AN_ACCOUNT)
    wait(sign_in_limits.WINDOW - timedelta(seconds=30))
    fail(email, 5)
    wait(timedelta(seconds=30))
    assert is_let_in(email)


def test_one_address_tries_many_accounts_only_so_often(
    email: str, make_member: MakeMember, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in_limits, "FROM_AN_ADDRESS", 5)
    for number in range(5):
        tried(f"{number}@example.com", "wrong")
    assert not is_let_in(email)
    assert is_let_in(email, address=ELSEWHERE)


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [("2001:db8::1", "2001:db8::2:3", True), ("2001:db8::1", "2001:db8:0:1::1", False), (HOME, "198.51.100.2", False)],
)
def test_an_address_of_ipv6_is_its_network(
    email: str, monkeypatch: pytest.MonkeyPatch, first: str, second: str, is_one: bool
) -> None:
    monkeypatch.setattr(sign_in_limits, "FROM_AN_ADDRESS", 1)
    tried("nobody@example.com", "wrong", address=first)
    assert is_let_in(email, address=second) is not is_one


def test_right_passwords_from_one_address_count_for_nothing(email: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in_limits, "FROM_AN_ADDRESS", 2)
    assert [is_let_in(email) for _ in range(5)] == [True] * 5


def test_the_page_says_the_same_to_everybody(email: str) -> None:
    def said(who: str) -> str:
        page = tried(who, "wrong")
        assert page.status_code == 200
        return str(page.context["form"].errors)

    pages = {said(email), said("nobody@example.com")}
    fail(email, sign_in_limits.OF_AN_ACCOUNT)
    fail("nobody@example.com", sign_in_limits.OF_AN_ACCOUNT)
    pages |= {said(email), said("nobody@example.com")}
    assert len(pages) == 1


def test_a_password_is_hashed_whatever_comes_of_it(email: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes the time: once for a wrong one, for nobody's, and for one that is refused."""
    hashed: list[str] = []

    def spied(function: Callable[..., Any]) -> Callable[..., Any]:
        def spy(password: str, *given: Any, **more: Any) -> Any:
            hashed.append(password)
            return function(password, *given, **more)

        return spy

    monkeypatch.setattr(sign_in_limits, "make_password", spied(sign_in_limits.make_password))
    monkeypatch.setattr(User, "set_password", lambda _user, password: hashed.append(password))
    monkeypatch.setattr(User, "check_password", lambda _user, password: bool(hashed.append(password)))
    authenticate(username=email, password="wrong")
    authenticate(username="nobody@example.com", password="wrong")
    fail(email, sign_in_limits.OF_AN_ACCOUNT)
    hashed.clear()
    authenticate(username=email, password="wrong")
    assert hashed == ["wrong"]


def test_a_refusal_is_told_to_the_audit_once(acme: Tenant, email: str) -> None:
    fail(email, sign_in_limits.OF_AN_ACCOUNT + 5)
    with scope.organization(acme.id):
        told = AuditEvent.objects.filter(event_type="user:sign_in_refused")
        assert list(told.values_list("actor_label", "outcome", "client_address")) == [("", "error", HOME)]
        assert AuditEvent.objects.filter(event_type="user:sign_in_failed").count() == sign_in_limits.OF_AN_ACCOUNT


def test_neither_people_nor_places_stand_in_the_table_and_what_is_over_goes(email: str) -> None:
    fail(email, 1)
    (kept, other) = SignInFailures.objects.all()
    assert {len(bytes(kept.key)), len(bytes(other.key))} == {32}
    wait(sign_in_limits.WINDOW)
    tried("nobody@example.com", "wrong", address=ELSEWHERE)
    assert SignInFailures.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_guesses_at_once_are_counted_one_by_one(email: str) -> None:
    def guess(_number: int) -> bool:
        try:
            return sign_in_limits.attempt_begin(email=email, address=HOME).is_refused
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as together:
        refused = list(together.map(guess, range(24)))
    assert refused.count(False) == sign_in_limits.OF_AN_ACCOUNT
