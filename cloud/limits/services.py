"""Setting limits: a token's by who administers tokens, an organization's by the installation.

Callers open the organization's scope. A change counts within seconds in every process (`standings.REFRESH_S`). Tests:
tests/integration/cloud/limits/test_services.py.
"""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from cloud.access import lines
from cloud.access import selectors as access
from cloud.access.principals import Grant
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.limits import selectors, standings
from cloud.limits.allowances import NAMES, Allowance
from cloud.limits.models import Limit
from cloud.tenancy import grants
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


def organization_limits_set(
    *, organization_id: UUID, allowance: Allowance, expected_version: int | None = None, actor: audit.Actor
) -> Limit:
    """What the organization as a whole may use. For the installation's operator: no grant of a tenant reaches it.

    Raises PreconditionFailed when it changed since it was read as `expected_version` (0: nothing was set; None:
    whatever it is)."""
    with recorded("limits_change"):
        return _set(organization_id, None, allowance, expected_version, actor)


@grants.needs(Scope.TOKENS_WRITE)
def token_limits_set(
    *, grant: Grant, token_id: UUID, allowance: Allowance, expected_version: int | None = None
) -> Limit:
    """What one token, and all that it mints, may use of what its organization may. Of a token that took another's place
    they are that one's too. No token sets its own, nor those of one that it comes from: somebody else does.

    Raises NotFound for a token out of reach, Forbidden, PreconditionFailed."""
    who = grant.principal
    subject = lines.line_of(token_id)[0]
    if who.counted_token_id is not None and subject in lines.line_of(who.counted_token_id):
        raise errors.Forbidden("A token cannot set its own limits, nor those of a token that it comes from.")
    with recorded("limits_change"):
        if not access.tokens_within_reach(grant).filter(id=token_id).exists():
            raise errors.NotFound
        return _set(grant.organization_id, subject, allowance, expected_version, who)


def _set(
    organization_id: UUID, token_id: UUID | None, allowance: Allowance, expected_version: int | None, actor: audit.Actor
) -> Limit:
    wanted = asdict(allowance)
    # Made empty first, so that there is a row to lock: of two who set at once, one sees what the other did.
    Limit.objects.bulk_create(
        [Limit(organization_id=organization_id, token_id=token_id, version=0)], ignore_conflicts=True
    )
    row = selectors.limit_rows(organization_id=organization_id, token_id=token_id).select_for_update().get()
    if expected_version is not None and row.version != expected_version:
        raise errors.PreconditionFailed(version=row.version)
    before = {name: getattr(row, name) for name in NAMES}
    changes: dict[str, Any] = {name: [before[name], wanted[name]] for name in NAMES if before[name] != wanted[name]}
    if changes:
        for name, value in wanted.items():
            setattr(row, name, value)
        row.version += 1
        row.save()
        audit.event_record(
            event_type=EventType.LIMIT_CHANGED,
            principal=actor,
            organization_id=organization_id,
            target_kind="token" if token_id else "organization",
            target_id=token_id or organization_id,
            details=changes,
        )
        standings.standings_forget()
    return row
