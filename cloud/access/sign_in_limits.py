"""How often somebody may guess a password, within a quarter of an hour: for one account from one address, and from one
address for all of them.

Nobody can shut another one out: wrong passwords from elsewhere never refuse an account, they only leave fewer tries to
each address that it never signed in from. Counted in the database, so that all processes count together, and
before the password is looked at, so that guesses at once are counted one by one. What is refused looks like a wrong
password and takes as long, whether there is such an account or not; it ends by time. Called by `PasswordBackend`, which
the settings name; told to the audit by `sign_ins`. Tests: tests/integration/cloud/access/test_sign_in_limits.py.
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
FROM_A_PLACE = 10
"""Wrong passwords for one account from one address."""
FROM_AN_ADDRESS = 50
"""An office behind one address has more people than one; a list of stolen passwords is longer."""
BESET = 50
"""Wrong passwords for one account from wherever it never signed in. Whoever guesses from many addresses is slowed down
by what each then has left."""
FROM_A_PLACE_WHEN_BESET = 2
KNOWN = timedelta(days=90)
"""How long an address is known after somebody signed in from it: others' guesses do not touch it."""

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
_TAKE_BACK = "UPDATE access_signinfailures SET failures = failures - 1 WHERE key = ANY(%s) AND failures > 0"
_IS_KNOWN = "SELECT EXISTS (SELECT 1 FROM access_signinplace WHERE key = %s AND known_until > now())"
_KNOW = """
    WITH gone AS (
        DELETE FROM access_signinplace WHERE key IN (
            SELECT key FROM access_signinplace WHERE known_until <= now() AND key <> %(key)s
             LIMIT 10 FOR UPDATE SKIP LOCKED)
    )
    INSERT INTO access_signinplace (key, known_until) VALUES (%(key)s, now() + make_interval(secs => %(known_s)s))
    ON CONFLICT (key) DO UPDATE SET known_until = excluded.known_until
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to sign in. `is_told`: whether the audit hears of it should it fail, for a flood of them is told once.
    `place` and `others` are what it was counted as."""

    is_refused: bool
    is_told: bool
    place: bytes
    others: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    """What a try is counted as: digests, for the tables name nobody."""

    account: bytes
    place: bytes
    address: bytes | None


_attempt: ContextVar[Attempt | None] = ContextVar("sign_in_attempt", default=None)


def attempt_last() -> Attempt | None:
    """What was found of the try that just failed in this context."""
    return _attempt.get()


def attempt_begin(*, email: str, address: str | None) -> Attempt:
    """Count a try as failed until `attempt_succeed` says otherwise."""
    keys = _keys(email, address)
    with connection.cursor() as cursor:
        cursor.execute(_IS_KNOWN, [keys.place])
        is_known: bool = cursor.fetchone()[0]
        others = () if is_known else tuple(filter(None, (keys.account, keys.address)))
        cursor.execute(_COUNT, {"keys": [keys.place, *others], "window_s": WINDOW.total_seconds()})
        counted = {bytes(key): failures for key, failures in cursor.fetchall()}
    is_refused, is_told = _judged(
        counted[keys.place], counted.get(keys.address or b"", 0), counted.get(keys.account, 0)
    )
    attempt = Attempt(is_refused=is_refused, is_told=is_told, place=keys.place, others=others)
    _attempt.set(attempt)
    return attempt


def _judged(of_place: int, of_address: int, of_account: int) -> tuple[bool, bool]:
    """Whether it is refused, and told, by how many there were, this one included; 0 of what is not counted."""
    is_beset = of_account > BESET
    over = [of_place - (FROM_A_PLACE_WHEN_BESET if is_beset else FROM_A_PLACE), of_address - FROM_AN_ADDRESS]
    is_refused = max(over) > 0
    is_first = of_account == BESET + 1 or (not is_beset and (not is_refused or 1 in over))
    return is_refused, is_first


def attempt_succeed(attempt: Attempt) -> None:
    """It was the right password: the place's count begins anew, the others are as before, and the place is known."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [attempt.place])
        cursor.execute(_TAKE_BACK, [list(attempt.others)])
        cursor.execute(_KNOW, {"key": attempt.place, "known_s": KNOWN.total_seconds()})


def _keys(email: str, address: str | None) -> _Keys:
    account = email.strip().lower()
    return _Keys(
        account=_digest(f"account:{account}"),
        place=_digest(f"place:{account}:{_network(address, 64) if address else ''}"),
        address=_digest(f"address:{_network(address, 48)}") if address else None,
    )


def _network(address: str, length: int) -> str:
    """Where an address is: of IPv6 the network, for a household has every address of a /64, and a renter those of a
    /48."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, length), strict=False)) if found.version == 6 else address


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
        attempt = attempt_begin(email=email, address=address)
        if attempt.is_refused:
            # As long as looking at a password takes: the clock says no more than the words.
            make_password(password)
            raise PermissionDenied
        user: User | None = super().authenticate(request, username=username, password=password, **given)
        if user is not None:
            attempt_succeed(attempt)
        return user

    async def aauthenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **given: Any
    ) -> User | None:
        """The same; Django's own would look past the limit."""
        return await sync_to_async(self.authenticate)(request, username=username, password=password, **given)
