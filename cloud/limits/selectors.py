"""Reading limits: what is allowed, where that comes from, and what is used of it now.

For the admin, REST and `cloudctl`. Callers open the organization's scope. Tests:
tests/integration/cloud/limits/test_usage.py.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import reduce
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from cloud.access import lines
from cloud.access import selectors as access
from cloud.access.principals import Grant
from cloud.limits import run_starts, standings, usage
from cloud.limits.allowances import Allowance
from cloud.limits.models import Limit, Usage, UsageKind
from cloud.tenancy import grants
from cloud.tenancy.pages import PAGE_MAX
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

_CALLS = "SELECT count(*) FROM audit_auditevent WHERE organization_id = %s AND event_type = 'call:accepted' AND at > now() - interval '1 minute'"  # noqa: E501
_CALLS_OF_TOKENS = f"{_CALLS} AND actor_kind = 'token' AND actor_id = ANY(%s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """What a subject may use, and uses. `own` was set for it; `allowance` also holds the installation's own and, of a
    token, what those allow that it comes from. What a token uses holds what the tokens use that it minted. `version` 0:
    nothing was set."""

    organization_id: UUID
    token_id: UUID | None
    own: Allowance
    allowance: Allowance
    version: int
    calls_last_minute: int
    runs_under_way: int
    artifact_bytes_today: int
    cost_micros_this_month: int


@grants.needs(Scope.USAGE_READ)
def organization_limits_get(*, grant: Grant) -> LimitUse:
    """The limits of the organization as a whole, and its present use."""
    return limit_use(organization_id=grant.organization_id, token_id=None)


@grants.needs(Scope.USAGE_READ)
def token_limits_get(*, grant: Grant, token_id: UUID) -> LimitUse:
    """The limits of one token, and its present use. Raises NotFound for a token out of reach."""
    if not access.tokens_within_reach(grant).filter(id=token_id).exists():
        raise errors.NotFound
    return limit_use(organization_id=grant.organization_id, token_id=token_id)


@grants.needs(Scope.USAGE_READ)
def usage_page(
    *,
    grant: Grant,
    kind: UsageKind | None = None,
    token_id: UUID | None = None,
    since: date | None = None,
    until: date | None = None,
    limit: int = 50,
    before: tuple[date, UUID] | None = None,
) -> list[Usage]:
    """How much of what each token used a day, UTC, the newest day first; from the day `since` to before the day
    `until`, and older than the row `before`.

    Raises Forbidden for who reaches a part of the organization only: it is counted as a whole."""
    grants.whole_organization(grant)
    usage.cost_fold(grant.organization_id)
    rows = Usage.objects.filter(organization_id=grant.organization_id)
    exact = {"kind": kind, "token_id": token_id, "day__gte": since, "day__lt": until}
    # A row without an amount is there for what counts against a token that others come from.
    rows = rows.exclude(amount=0).filter(**{name: value for name, value in exact.items() if value is not None})
    if before is not None:
        day, row_id = before
        rows = rows.filter(Q(day__lt=day) | Q(day=day, id__lt=row_id))
    return list(rows.order_by("-day", "-id")[: max(1, min(limit, PAGE_MAX))])


def limit_use(*, organization_id: UUID, token_id: UUID | None) -> LimitUse:
    """For the installation itself, without a grant."""
    allowed = standings.allowances_of(organization_id=organization_id, token_id=token_id)
    line = [one for one in allowed if one is not None]
    subject = line[0] if line else None
    row = limit_rows(organization_id=organization_id, token_id=subject).first()
    usage.cost_fold(organization_id)
    used = usage.used_by(organization_id=organization_id, subjects=line[:1], now=datetime.now(UTC))[subject]
    runs = run_starts.runs_counted(organization_id=organization_id, subjects=line[:1])
    return LimitUse(
        organization_id=organization_id,
        token_id=token_id,
        own=_own(row),
        allowance=reduce(Allowance.within, (allowed[one] for one in allowed if one is not None or not line)),
        version=row.version if row else 0,
        calls_last_minute=_calls(organization_id, subject),
        runs_under_way=runs[subject],
        artifact_bytes_today=used.artifact_bytes_today,
        cost_micros_this_month=used.cost_micros_this_month,
    )


def limit_rows(*, organization_id: UUID, token_id: UUID | None) -> QuerySet[Limit]:
    """What was set for one subject, the organization where no token is named: one row or none."""
    rows = Limit.objects.filter(organization_id=organization_id)
    return rows.filter(token_id__isnull=True) if token_id is None else rows.filter(token_id=token_id)


def _own(row: Limit | None) -> Allowance:
    if row is None:
        return Allowance()
    return Allowance(
        calls_per_minute=row.calls_per_minute,
        calls_burst=row.calls_burst,
        runs_at_once=row.runs_at_once,
        artifact_bytes_per_day=row.artifact_bytes_per_day,
        cost_micros_per_month=row.cost_micros_per_month,
    )


def _calls(organization_id: UUID, subject: UUID | None) -> int:
    tokens = [] if subject is None else [str(token_id) for token_id in {subject, *lines.below(subject)}]
    with connection.cursor() as cursor:
        if subject is None:
            cursor.execute(_CALLS, [organization_id])
        else:
            cursor.execute(_CALLS_OF_TOKENS, [organization_id, tokens])
        found: int = cursor.fetchone()[0]
    return found
