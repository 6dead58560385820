"""How often somebody may guess a password: for one account, and from one address, within a quarter of an hour.

Counted in the database, so that all processes count together, and before the password is looked at, so that guesses at
once are counted one by one. What is refused looks like a wrong password and takes as long, whether there is such an
account or not; it ends by time. Called by `PasswordBackend`, which the settings name; told to the audit by `sign_ins`.
Tests: tests/integration/cloud/access/test_sign_in_limits.py.
"""

import hashlib
import hmac
import ipaddress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import make_password
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest

from cloud.accounts.models import User

WINDOW = timedelta(minutes=15)
OF_AN_ACCOUNT = 10
FROM_AN_ADDRESS = 50
"""An office behind one address has more people than one; a list of stolen passwords is longer."""

# A count begins anew when its time is over; who goes on while refused does not make it longer.
_COUNT = """
    WITH gone AS (
        DELETE FROM access_signinfailures WHERE key IN (
            SELECT key FROM access_signinfailures WHERE ends_at <= now() AND key <> ALL (%(keys)s)
             LIMIT 10 FOR UPDATE SKIP LOCKED)
    )
    INSERT INTO access_signinfailures AS f (key, failures, ends_at)
    SELECT key, 1, now() + make_interval(secs => %(window_s)s) FROM unnest(%(keys)s::bytea[]) AS key ORDER BY key
    ON CONFLICT (key) DO UPDATE
       SET failures = CASE WHEN f.ends_at <= now() THEN 1 ELSE LEAST(f.failures + 1, 30000) END,
           ends_at = CASE WHEN f.ends_at <= now() THEN excluded.ends_at ELSE f.ends_at END
    RETURNING key, failures
"""
_FORGET = "DELETE FROM access_signinfailures WHERE key = %s"
_TAKE_BACK = "UPDATE access_signinfailures SET failures = failures - 1 WHERE key = %s AND failures > 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to sign in. `is_news`: the first that is refused of this account's or address's count."""

    is_refused: bool
    is_news: bool


_attempt: ContextVar[Attempt | None] = ContextVar("sign_in_attempt", default=None)


def attempt_last() -> Attempt | None:
    """What was found of the try that just failed in this context."""
    return _attempt.get()


def attempt_begin(*, email: str, address: str | None) -> Attempt:
    """Count a try as failed until `attempt_succeed` says otherwise."""
    of_account, from_address = _keys(email, address)
    limits = {of_account: OF_AN_ACCOUNT} | ({from_address: FROM_AN_ADDRESS} if from_address else {})
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"keys": list(limits), "window_s": WINDOW.total_seconds()})
        counted = {bytes(key): failures for key, failures in cursor.fetchall()}
    over = [failures - limits[key] for key, failures in counted.items() if failures > limits[key]]
    attempt = Attempt(is_refused=bool(over), is_news=1 in over)
    _attempt.set(attempt)
    return attempt


def attempt_succeed(*, email: str, address: str | None) -> None:
    """It was the right password: the account's count begins anew, and the address's is as it was before."""
    of_account, from_address = _keys(email, address)
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [of_account])
        if from_address:
            cursor.execute(_TAKE_BACK, [from_address])


def _keys(email: str, address: str | None) -> tuple[bytes, bytes | None]:
    return _digest(f"account:{email.strip().lower()}"), _digest(f"address:{_place(address)}") if address else None


def _place(address: str) -> str:
    """Where an address is: of IPv6 its network, whose every address one household has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else address


def _digest(text: str) -> bytes:
    return hmac.digest(settings.TOKEN_KEY, text.encode(errors="replace"), hashlib.sha256)


class PasswordBackend(ModelBackend):
    """Django's own, with a limit in front: every form that asks for a password comes here."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **given: Any
    ) -> User | None:
        """Whoever has that address and password; None for nobody. Raises PermissionDenied when too many were wrong."""
        email = username or given.get(User.USERNAME_FIELD)
        if not email or password is None:
            return None
        address = request.META.get("REMOTE_ADDR") or None if request is not None else None
        if attempt_begin(email=email, address=address).is_refused:
            # As long as looking at a password takes: the clock says no more than the words.
            make_password(password)
            raise PermissionDenied
        user: User | None = super().authenticate(request, username=username, password=password, **given)
        if user is not None:
            attempt_succeed(email=email, address=address)
        return user

    async def aauthenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **given: Any
    ) -> User | None:
        """The same; Django's own would look past the limit."""
        return await sync_to_async(self.authenticate)(request, username=username, password=password, **given)
