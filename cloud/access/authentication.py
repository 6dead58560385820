"""From a bearer token to a Principal: one query, no tenant scope needed or left behind.

The look-up is a SECURITY DEFINER function of the database that finds a token by its digest and nothing else; that is
why this process needs no right to read other tenants' tokens. Called by every surface that takes a token. Tests:
tests/integration/cloud/access/test_authentication.py.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from cloud.access import credentials, refusals
from cloud.access.models import Token, TokenKind
from cloud.access.principals import Principal, PrincipalKind
from cloud.permissions import matrix
from cloud.permissions.roles import Role
from cloud.tenancy import scope, threads
from cloud.tenancy.lifecycle import TenantStatus
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

_LAST_USED_PRECISION = timedelta(minutes=1)
_COLUMNS = (
    "id, organization_id, organization_status, kind, name, scopes, project_ids, expires_at, revoked_at, last_used_at, "
    "membership_id, role, is_member, member_workspace_id, member_project_ids"
)
_FIND = f"SELECT {_COLUMNS} FROM access_token_find(%s)"  # noqa: S608 - constants


def authenticate_bearer(raw: str) -> Principal:
    """Who presents this token. Raises Unauthenticated when it is malformed, unknown, expired, revoked, or its holder's
    membership or organization is disabled; the message deliberately does not say which."""
    if not credentials.is_token(raw):
        raise errors.Unauthenticated
    found = _find(credentials.digest(raw)) or _find_by_former_key(raw)
    if found is None:
        raise errors.Unauthenticated
    now = datetime.now(UTC)
    if not _is_good(found, now):
        _tell_refused(found, now)
        raise errors.Unauthenticated
    if found["last_used_at"] is None or now - found["last_used_at"] > _LAST_USED_PRECISION:
        threads.after_answer(token_touch, token_id=found["id"], organization_id=found["organization_id"], now=now)
    return _principal(found)


def _find(digest: bytes) -> dict[str, Any] | None:
    with connection.cursor() as cursor:
        cursor.execute(_FIND, [digest])
        row = cursor.fetchone()
    return None if row is None else dict(zip(_COLUMNS.split(", "), row, strict=True))


def _find_by_former_key(raw: str) -> dict[str, Any] | None:
    """While a key is rotated, and for unknown tokens only: what is found is kept under the newest key from now on."""
    for digest in credentials.digests_of_former_keys(raw):
        found = _find(digest)
        if found is not None:
            threads.after_answer(token_rekey, token_id=found["id"], organization_id=found["organization_id"], raw=raw)
            return found
    return None


def token_rekey(*, token_id: UUID, organization_id: UUID, raw: str) -> None:
    """Keep a token by its digest under the newest key."""
    with scope.organization(organization_id):
        Token.objects.filter(id=token_id).update(digest=credentials.digest(raw))


def _is_good(found: dict[str, Any], now: datetime) -> bool:
    return (
        found["organization_status"] == TenantStatus.ACTIVE
        and found["revoked_at"] is None
        and (found["expires_at"] is None or found["expires_at"] > now)
        and (found["membership_id"] is None or found["is_member"])
    )


def _tell_refused(found: dict[str, Any], now: datetime) -> None:
    because = refusals.because_of(
        revoked_at=found["revoked_at"],
        is_expired=found["expires_at"] is not None and found["expires_at"] <= now,
        is_orphaned=found["membership_id"] is not None and not found["is_member"],
    )
    refusals.token_refused(
        token_id=found["id"], organization_id=found["organization_id"], name=found["name"], because=because
    )


def _principal(found: dict[str, Any]) -> Principal:
    scopes = frozenset(Scope(word) for word in found["scopes"])
    project_ids = _narrowed(found["project_ids"], found["member_project_ids"])
    if found["membership_id"] is not None:
        # Clamped at each use: a member whose role shrinks takes every token along.
        scopes &= matrix.scopes_of(Role(found["role"]))
    if found["kind"] == TokenKind.PLANNER:
        scopes &= matrix.PLANNER_SCOPES
    return Principal(
        kind=PrincipalKind.TOKEN,
        id=found["id"],
        organization_id=found["organization_id"],
        label=found["name"],
        scopes=scopes,
        project_ids=project_ids,
        # A token for some projects reaches those, not their workspace.
        workspace_id=found["member_workspace_id"] if found["project_ids"] is None else None,
        membership_id=found["membership_id"],
        expires_at=found["expires_at"],
    )


def _narrowed(tokens: list[UUID] | None, members: list[UUID] | None) -> frozenset[UUID] | None:
    """What both the token and its holder's membership reach; None is everything."""
    if tokens is None or members is None:
        narrower = tokens if members is None else members
        return None if narrower is None else frozenset(narrower)
    return frozenset(tokens) & frozenset(members)


def token_touch(*, token_id: UUID, organization_id: UUID, now: datetime) -> None:
    """Note that a token was used, to the minute. Beside the call, never in its transaction."""
    with scope.organization(organization_id):
        Token.objects.filter(id=token_id).update(last_used_at=now)
