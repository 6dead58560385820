"""Usage and limits, for who asks the cloud: what may be used, what is left of it, and what work cost.

Cost is what executors reported of finished attempts; what they did not report counts as nothing. Tests:
tests/integration/cloud/operations/test_usage.py.
"""

from uuid import UUID

from pydantic import Field

from cloud.access.principals import Grant, PrincipalKind
from cloud.limits import costs, selectors
from cloud.limits.costs import CostGroup
from cloud.limits.selectors import LimitUse
from cloud.operations.operation import CloudOperation
from local_daemon.protocol import wire
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.scopes import Scope

_MICROS = 1_000_000


class LimitsQuery(wire.WireModel):
    """Whose limits: a token's, else those of the token that asks."""

    token_id: UUID | None = None


class AmountView(wire.ViewModel):
    """What is allowed, used and left; `allowed` null: without limit."""

    allowed: float | None
    used: float
    left: float | None


class SubjectView(wire.ViewModel):
    """What a token, or the organization as a whole, may still use."""

    calls_per_minute: AmountView
    runs_at_once: AmountView
    artifact_bytes_per_day: AmountView
    cost_usd_per_month: AmountView


class LimitsView(wire.ViewModel):
    """Both count: a call is refused when either is used up. `token` null: a person asked, who has no token."""

    organization: SubjectView
    token: SubjectView | None


class CostQuery(wire.WireModel):
    """What the attempts that ended in the last `days` used, by project, run, token, executor or model."""

    by: CostGroup = CostGroup.PROJECT
    project_id: UUID | None = None
    days: wire.QueryInteger = Field(default=30, ge=1, le=costs.DAYS_MAX)


class CostView(wire.ViewModel):
    """What one of them used. `name` is null where it is not known: whose token, which model. Tokens that are not for
    the asker to see are one item, without an id."""

    id: str | None
    name: str | None
    attempts: int
    input_tokens: int
    output_tokens: int
    cost_usd: float


class CostPage(wire.ViewModel):
    """The dearest first, 100 at most. Counted from `since` on: later than asked where there is too much to count."""

    items: tuple[CostView, ...]
    since: wire.Instant
    is_complete: bool


def usage_limits(grant: Grant, asked: LimitsQuery) -> LimitsView:
    """Limits, and what is left of them."""
    who = grant.principal
    own = UUID(str(who.id)) if who.kind == PrincipalKind.TOKEN else None
    token_id = asked.token_id or own
    of_token = selectors.token_limits_get(grant=grant, token_id=token_id) if token_id else None
    return LimitsView(
        organization=_subject(selectors.organization_limits_get(grant=grant)),
        token=_subject(of_token) if of_token else None,
    )


def usage_costs(grant: Grant, asked: CostQuery) -> CostPage:
    """What work cost, within reach."""
    found = costs.cost_report(grant=grant, by=asked.by, project_id=asked.project_id, days=asked.days)
    return CostPage(
        items=tuple(
            CostView(
                id=row.id,
                name=row.name,
                attempts=row.attempts,
                input_tokens=row.input_tokens,
                output_tokens=row.output_tokens,
                cost_usd=row.cost_micros / _MICROS,
            )
            for row in found.rows
        ),
        since=found.since,
        is_complete=found.is_complete,
    )


def _subject(use: LimitUse) -> SubjectView:
    cost = use.allowance.cost_micros_per_month
    return SubjectView(
        calls_per_minute=_amount(use.allowance.calls_per_minute, use.calls_last_minute),
        runs_at_once=_amount(use.allowance.runs_at_once, use.runs_under_way),
        artifact_bytes_per_day=_amount(use.allowance.artifact_bytes_per_day, use.artifact_bytes_today),
        cost_usd_per_month=_amount(None if cost is None else cost / _MICROS, use.cost_micros_this_month / _MICROS),
    )


def _amount(allowed: float | None, used: float) -> AmountView:
    return AmountView(allowed=allowed, used=used, left=None if allowed is None else max(0, allowed - used))


OPERATIONS = (
    CloudOperation(
        operation=Operation(
            name="usage.limits",
            title="Limits",
            description="What this token and its organization may use, what they used, and what is left.",
            method="GET",
            path="/usage/limits",
            scope=Scope.USAGE_READ,
            query=LimitsQuery,
            response=LimitsView,
        ),
        answer=usage_limits,
    ),
    CloudOperation(
        operation=Operation(
            name="usage.costs",
            title="Cost",
            description="Attempts, tokens and cost of the last days, by project, run, token, executor or model.",
            method="GET",
            path="/usage/costs",
            scope=Scope.USAGE_READ,
            query=CostQuery,
            response=CostPage,
        ),
        answer=usage_costs,
    ),
)
