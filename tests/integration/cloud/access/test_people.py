"""What becomes of people's accounts is told to whom it concerns, with who did it."""

from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, transaction
from django.test import Client

from cloud.accounts import services
from cloud.accounts.models import User
from cloud.audit import origin, seal, verify
from cloud.audit.installation import INSTALLATION
from cloud.audit.models import AuditEvent
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from cloud.tenancy.models import Membership
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

PASSWORD = "a long password"
ANOTHER = "quite another password"


@pytest.fixture
def operator(db: None) -> User:
    return User.objects.create_superuser("operator@example.com", PASSWORD)


@pytest.fixture
def browser(operator: User) -> Client:
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def member(acme: Tenant, make_member: MakeMember) -> Membership:
    return make_member(acme, Role.ORG_ADMIN)


def told(organization_id: Any, person: User) -> list[tuple[str, str]]:
    with scope.organization(organization_id):
        rows = AuditEvent.objects.filter(organization_id=organization_id, target_id=person.id).order_by("id")
        found = rows.filter(event_type__startswith="user:").exclude(event_type__startswith="user:sign")
        return list(found.values_list("event_type", "actor_label"))


def test_who_is_made_in_the_admin_is_told_with_who_made_them(browser: Client) -> None:
    given = {"email": "new@example.com", "password1": ANOTHER, "password2": ANOTHER, "usable_password": "true"}
    assert browser.post("/admin/accounts/user/add/", given).status_code == 302
    made = User.objects.get(email="new@example.com")
    assert told(INSTALLATION, made) == [("user:created", "operator@example.com")]


def test_who_is_deactivated_or_made_an_operator_is_told_to_their_organizations_too(
    acme: Tenant, globex: Tenant, browser: Client, member: Membership
) -> None:
    person = member.user
    given = {"email": person.email, "full_name": "", "is_staff": "on", "is_superuser": "on"}
    with origin.asked_from("192.0.2.9"):
        assert browser.post(f"/admin/accounts/user/{person.id}/change/", given).status_code == 302
    assert told(acme.id, person) == [("user:changed", "operator@example.com")]
    assert told(INSTALLATION, person)[-1:] == [("user:changed", "operator@example.com")]
    assert told(globex.id, person) == []
    with scope.organization(acme.id):
        event = AuditEvent.objects.get(event_type="user:changed")
    assert event.details == {"changed": {"is_active": [True, False], "is_superuser": [False, True]}}
    assert event.client_address == "192.0.2.9"


def test_another_password_is_told_whoever_gave_it_and_never_what_it_is(
    acme: Tenant, browser: Client, member: Membership
) -> None:
    person = member.user
    given = {"password1": ANOTHER, "password2": ANOTHER, "usable_password": "true"}
    assert browser.post(f"/admin/accounts/user/{person.id}/password/", given).status_code == 302
    person.refresh_from_db()
    own = Client()
    own.force_login(person)
    given = {"old_password": ANOTHER, "new_password1": PASSWORD + "!", "new_password2": PASSWORD + "!"}
    assert own.post("/admin/password_change/", given).headers["Location"] == "/admin/password_change/done/"
    assert told(acme.id, person) == [
        ("user:password_changed", "operator@example.com"),
        ("user:password_changed", person.email),
    ]
    with scope.organization(acme.id):
        assert not AuditEvent.objects.filter(details__icontains="password").exists()


def test_a_command_that_makes_an_operator_is_told(db: None) -> None:
    call_command("createsuperuser", email="second@example.com", interactive=False, verbosity=0)
    made = User.objects.get(email="second@example.com")
    assert told(INSTALLATION, made) == [("user:created", "")]


def test_a_password_that_is_hashed_in_a_newer_way_is_not_another_one(
    acme: Tenant, member: Membership, settings: Any
) -> None:
    person = member.user
    before = User.objects.get(id=person.id).password
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher", *settings.PASSWORD_HASHERS]
    Client().post("/admin/login/", {"username": person.email, "password": PASSWORD})
    assert User.objects.get(id=person.id).password != before
    assert told(acme.id, person) == []


def test_what_was_not_kept_is_not_told(db: None) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        User.objects.create_user("x" * 250 + "@example.com", PASSWORD)
    with scope.organization(INSTALLATION):
        assert not AuditEvent.objects.filter(event_type="user:created").exists()


def test_an_operator_who_comes_and_goes_is_told_to_the_installation(operator: User, member: Membership) -> None:
    browser = Client()
    browser.post("/admin/login/", {"username": operator.email, "password": PASSWORD})
    browser.post("/admin/logout/")
    Client().post("/admin/login/", {"username": operator.email, "password": "wrong"})
    with scope.organization(INSTALLATION):
        rows = AuditEvent.objects.filter(target_id=operator.id, event_type__startswith="user:sign").order_by("id")
        assert list(rows.values_list("event_type", "actor_label")) == [
            ("user:signed_in", operator.email),
            ("user:signed_out", operator.email),
            ("user:sign_in_failed", ""),
        ]


def test_the_installations_chain_is_sealed_and_verified_as_any_other(operator: User, acme: Tenant) -> None:
    with scope.organization(INSTALLATION):
        assert seal.organization_seal_all(INSTALLATION) >= 1
        assert verify.chain_verify(INSTALLATION).ok
    with scope.organization(acme.id):
        assert not AuditEvent.objects.filter(organization_id=INSTALLATION).exists()


def test_a_person_who_joins_by_invitation_is_told(db: None) -> None:
    made = services.user_create(email="joined@example.com", full_name="J", password=ANOTHER)
    assert told(INSTALLATION, made) == [("user:created", "")]
