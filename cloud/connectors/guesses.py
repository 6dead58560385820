"""How often somebody may present a claim code that is none: a person types one, and 40 random bits can be searched.

Counted in the database, so that all processes count together, and before the code is looked at, so that guesses at once
are counted one by one. By person, whichever of their tokens they use; the installation itself is not counted. Callers
open the organization's scope. Called by `enrollment`. Tests: tests/integration/cloud/connectors/test_guesses.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import connection

from cloud.access.principals import Principal, PrincipalKind
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors, ids

WRONG_MAX = 10
WINDOW = timedelta(minutes=15)

# Whoever goes on while refused does not make it longer.
_COUNT = """
    INSERT INTO connectors_claimguesses AS had (id, organization_id, guesser, wrong, ends_at)
    VALUES (%(id)s, %(org)s, %(guesser)s, 1, now() + make_interval(secs => %(window_s)s))
    ON CONFLICT (organization_id, guesser) DO UPDATE
       SET wrong = CASE WHEN had.ends_at <= now() THEN 1 ELSE LEAST(had.wrong, %(most)s) + 1 END,
           ends_at = CASE WHEN had.ends_at <= now() THEN excluded.ends_at ELSE had.ends_at END
    RETURNING wrong, extract(epoch FROM ends_at - now())::float8
"""
_TAKE_BACK = """
    UPDATE connectors_claimguesses SET wrong = wrong - 1
     WHERE organization_id = %s AND guesser = %s AND wrong > 0
"""


@contextmanager
def guessed(principal: Principal) -> Iterator[None]:
    """Look at a code inside; a NotFound that leaves it was a wrong guess. Raises RateLimited after too many."""
    if principal.kind is PrincipalKind.SYSTEM:
        yield
        return
    _count(principal)
    try:
        yield
    except errors.NotFound:
        raise
    except errors.RopewayError:
        _take_back(principal)
        raise
    else:
        _take_back(principal)


def _count(principal: Principal) -> None:
    facts: dict[str, Any] = {
        "id": ids.new_uuid7(),
        "org": principal.organization_id,
        "guesser": _guesser(principal),
        "window_s": WINDOW.total_seconds(),
        "most": WRONG_MAX,
    }
    with recorded("claim_guess"), connection.cursor() as cursor:
        cursor.execute(_COUNT, facts)
        wrong, left_s = cursor.fetchone()
    if wrong > WRONG_MAX:
        raise errors.RateLimited(
            "Too many wrong claim codes; a machine shows its code for long enough.", retry_after_s=left_s
        )


def _take_back(principal: Principal) -> None:
    with recorded("claim_guess"), connection.cursor() as cursor:
        cursor.execute(_TAKE_BACK, [principal.organization_id, _guesser(principal)])


def _guesser(principal: Principal) -> str:
    """The person behind it: who may mint tokens must not guess anew with each."""
    if principal.membership_id is not None:
        return f"membership:{principal.membership_id}"
    return f"{principal.kind}:{principal.id}"[:80]
