"""Making accounts. An account alone reaches nothing: memberships of `cloud.tenancy` do.

Called by invitations and `cloudctl`, in their transaction. Tests: tests/integration/cloud/tenancy/test_invitations.py.
"""

from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError

from cloud.accounts.models import User
from local_daemon.protocol import errors, limits

PASSWORD_CHARACTERS = 1000
"""Hashing more would keep a server busy for whoever asks."""


def user_create(*, email: str, full_name: str, password: str) -> User:
    """A person who signs in with this address and password. Raises InvalidRequest for a weak password."""
    if len(full_name) > limits.TITLE_CHARACTERS:
        raise errors.InvalidRequest(f"A name has at most {limits.TITLE_CHARACTERS} characters.")
    _check_password(password, User(email=email, full_name=full_name))
    return User.objects.create_user(email, password, full_name=full_name.strip(), is_staff=True)


def password_set(*, user: User, password: str) -> None:
    """Another password: the sessions that the old one opened end. Raises InvalidRequest for a weak one."""
    _check_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])


def _check_password(password: str, user: User) -> None:
    if len(password) > PASSWORD_CHARACTERS:
        raise errors.InvalidRequest(f"A password has at most {PASSWORD_CHARACTERS} characters.")
    try:
        password_validation.validate_password(password, user)
    except ValidationError as error:
        raise errors.InvalidRequest(
            "The password is too weak.",
            errors=[{"field": "password", "message": message} for message in error.messages],
        ) from error
