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
from cloud.access.models import SignInFailures, SignInPlace
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


def stranger(number: int) -> str:
    """One of many addresses, each alone."""
    return f"192.0.2.{number}"


def beset(email: str) -> None:
    """Wrong passwords from more places than are let pass unnoticed."""
    for number in range(sign_in_limits.BESET + 1):
        fail(email, 1, address=stranger(number))


def test_after_too_many_wrong_passwords_from_a_place_the_right_one_waits_too(email: str) -> None:
    fail(email, sign_in_limits.FROM_A_PLACE)
    assert not is_let_in(email)
    assert not is_let_in(email.upper())
    wait(sign_in_limits.WINDOW)
    assert is_let_in(email)


def test_a_stranger_shuts_nobody_out(email: str) -> None:
    """Neither who signed in from there before, nor who comes from somewhere new."""
    assert is_let_in(email)
    fail(email, sign_in_limits.FROM_A_PLACE + 5, address=ELSEWHERE)
    beset(email)
    for _ in range(3):
        assert is_let_in(email)
    assert is_let_in(email, address="198.51.100.77")
    assert not is_let_in(email, address=ELSEWHERE)


def test_a_known_place_has_all_of_its_tries_whatever_others_do(email: str) -> None:
    assert is_let_in(email)
    beset(email)
    fail(email, sign_in_limits.FROM_A_PLACE - 1)
    assert is_let_in(email)
    fail(email, sign_in_limits.FROM_A_PLACE)
    assert not is_let_in(email)


def test_colleagues_behind_one_address_are_not_kept_from_it_by_guesses_there(
    email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in_limits, "FROM_AN_ADDRESS", 5)
    assert is_let_in(email)
    for number in range(8):
        tried(f"{number}@example.com", "wrong")
    assert is_let_in(email)


def test_who_guesses_from_many_places_has_few_tries_in_each(email: str) -> None:
    beset(email)
    fail(email, sign_in_limits.FROM_A_PLACE_WHEN_BESET, address=ELSEWHERE)
    assert not is_let_in(email, address=ELSEWHERE)
    wait(sign_in_limits.WINDOW)
    assert is_let_in(email, address=ELSEWHERE)


def test_signing_in_with_an_account_of_ones_own_forgives_no_guesses_at_others(
    email: str, make_member: MakeMember, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in_limits, "FROM_AN_ADDRESS", 4)
    own = str(make_member(acme, Role.PROJECT_VIEWER).user.email)
    for number in range(6):
        tried(f"{number}@example.com", "wrong")
        is_let_in(own)
    assert not is_let_in(email)


def test_a_place_is_forgotten_when_nobody_signed_in_from_it_for_long(email: str) -> None:
    assert is_let_in(email)
    SignInPlace.objects.update(known_until=F("known_until") - sign_in_limits.KNOWN)
    beset(email)
    fail(email, sign_in_limits.FROM_A_PLACE_WHEN_BESET)
    assert not is_let_in(email)
    assert is_let_in(email, address=ELSEWHERE)
    # The one that was over is gone, and this one is there.
    assert SignInPlace.objects.count() == 1


def test_the_right_password_in_time_begins_anew(email: str) -> None:
    for _ in range(3):
        fail(email, sign_in_limits.FROM_A_PLACE - 1)
        assert is_let_in(email)


def test_who_goes_on_while_refused_does_not_make_it_longer(email: str) -> None:
    fail(email, sign_in_limits.FROM_A_PLACE)
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
    [("2001:db8::1", "2001:db8:0:1::3", True), ("2001:db8::1", "2001:db8:1::1", False), (HOME, "198.51.100.2", False)],
)
def test_an_address_of_ipv6_is_its_network(
    email: str, monkeypatch: pytest.MonkeyPatch, first: str, second: str, is_one: bool
) -> None:
    monkeypatch.setattr(sign_in_limits, "FROM_AN_ADDRESS", 1)
    tried("nobody@example.com", "wrong", address=first)
    assert is_let_in(email, address=second) is not is_one


def test_a_place_of_ipv6_is_a_households_network(email: str) -> None:
    fail(email, sign_in_limits.FROM_A_PLACE, address="2001:db8::1")
    assert not is_let_in(email, address="2001:db8::2:3")
    assert is_let_in(email, address="2001:db8:0:1::1")


def test_right_passwords_from_one_address_count_for_nothing(email: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in_limits, "FROM_AN_ADDRESS", 2)
    assert [is_let_in(email) for _ in range(5)] == [True] * 5


def test_the_page_says_the_same_to_everybody(email: str) -> None:
    def said(who: str) -> str:
        page = tried(who, "wrong")
        assert page.status_code == 200
        shown = page.content.decode()
        assert "correct the error" not in shown
        assert "or there were too many tries" in shown
        return str(page.context["form"].errors)

    pages = {said(email), said("nobody@example.com")}
    fail(email, sign_in_limits.FROM_A_PLACE)
    fail("nobody@example.com", sign_in_limits.FROM_A_PLACE)
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
    for _ in range(sign_in_limits.FROM_A_PLACE):
        authenticate(username=email, password="wrong")
    hashed.clear()
    authenticate(username=email, password="wrong")
    assert hashed == ["wrong"]


def test_a_refusal_is_told_to_the_audit_once(acme: Tenant, email: str) -> None:
    fail(email, sign_in_limits.FROM_A_PLACE + 5)
    with scope.organization(acme.id):
        told = AuditEvent.objects.filter(event_type="user:sign_in_refused")
        assert list(told.values_list("actor_label", "outcome", "client_address")) == [("", "error", HOME)]
        assert AuditEvent.objects.filter(event_type="user:sign_in_failed").count() == sign_in_limits.FROM_A_PLACE


def test_a_flood_from_everywhere_does_not_fill_the_audit(acme: Tenant, email: str) -> None:
    for number in range(sign_in_limits.BESET + 20):
        fail(email, 1, address=stranger(number))
    with scope.organization(acme.id):
        told = AuditEvent.objects.filter(event_type__startswith="user:sign_in_")
        assert told.count() == sign_in_limits.BESET + 1


def test_neither_people_nor_places_stand_in_the_table_and_what_is_over_goes(email: str) -> None:
    fail(email, 1)
    assert [len(bytes(row.key)) for row in SignInFailures.objects.all()] == [32] * 3
    wait(sign_in_limits.WINDOW)
    tried("nobody@example.com", "wrong", address=ELSEWHERE)
    assert SignInFailures.objects.count() == 3
    assert is_let_in(email)
    assert [len(bytes(row.key)) for row in SignInPlace.objects.all()] == [32]


@pytest.mark.django_db(transaction=True)
def test_guesses_at_once_are_counted_one_by_one(email: str) -> None:
    def guess(_number: int) -> bool:
        try:
            return sign_in_limits.attempt_begin(email=email, address=HOME).is_refused
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as together:
        refused = list(together.map(guess, range(24)))
    assert refused.count(False) == sign_in_limits.FROM_A_PLACE
