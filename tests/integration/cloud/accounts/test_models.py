import pytest
from django.contrib.auth import authenticate
from django.db import IntegrityError, transaction

from cloud.accounts.models import User

pytestmark = pytest.mark.django_db


def test_people_sign_in_with_their_email_in_any_case() -> None:
    user = User.objects.create_user("Ann@Example.com", "correct horse battery")
    assert authenticate(username="aNN@example.COM", password="correct horse battery") == user
    assert authenticate(username="ann@example.com", password="wrong") is None


def test_an_address_belongs_to_one_person() -> None:
    User.objects.create_user("ann@example.com", None)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(email="ANN@example.com")


def test_a_person_without_a_password_cannot_sign_in() -> None:
    User.objects.create_user("ann@example.com", None)
    assert authenticate(username="ann@example.com", password="") is None
