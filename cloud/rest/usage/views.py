"""What was used, what may be, and a token's limits. An organization's own are set by the installation.

Tests: tests/integration/cloud/rest/test_usage.py.
"""

from dataclasses import asdict
from uuid import UUID

from cloud.limits import costs, selectors, services
from cloud.limits.models import Usage, UsageKind
from cloud.limits.selectors import LimitUse
from cloud.operations.usage import CostQuery
from cloud.rest import pages
from cloud.rest.endpoints import Asked, IfMatch, endpoint
from cloud.rest.usage.messages import (
    AllowanceGiven,
    AllowanceView,
    Costs,
    CostView,
    LimitsView,
    UsagePage,
    UsageQuery,
    UsageView,
)

_OF_TOKEN = "/tokens/{token_id}/limits"  # noqa: S105 - a path


@endpoint(
    "GET",
    "/usage",
    name="usage.list",
    title="Usage",
    service=selectors.usage_page,
    query=UsageQuery,
    response=UsagePage,
)
def usage_list(asked: Asked, query: UsageQuery) -> UsagePage:
    """How much each token used a day: bytes of artifacts, and cost in millionths of a US dollar."""
    rows = selectors.usage_page(
        grant=asked.grant(),
        kind=query.kind,
        token_id=query.token_id,
        since=query.since,
        until=query.until,
        limit=query.limit,
        before=pages.after_day(query.cursor),
    )
    told = pages.rows_told(rows, _usage, limit=query.limit, mark=lambda row: pages.day_write(row.day, row.id))
    return UsagePage(**told)


@endpoint(
    "GET",
    "/usage/costs",
    name="usage.costs",
    title="What work cost",
    service=costs.cost_report,
    query=CostQuery,
    response=Costs,
)
def usage_costs(asked: Asked, query: CostQuery) -> Costs:
    """What executors reported of finished attempts, in millionths of a US dollar, within reach; the dearest first."""
    found = costs.cost_report(
        grant=asked.grant(project_id=query.project_id), by=query.by, project_id=query.project_id, days=query.days
    )
    return Costs(
        items=tuple(CostView(**asdict(row)) for row in found.rows), since=found.since, is_complete=found.is_complete
    )


@endpoint(
    "GET",
    "/limits",
    name="limits.get",
    title="The organization's limits",
    service=selectors.organization_limits_get,
    response=LimitsView,
)
def limits_get(asked: Asked) -> LimitsView:
    """What the organization as a whole may use, and what it uses now."""
    return _limits(selectors.organization_limits_get(grant=asked.grant()))


@endpoint(
    "GET",
    _OF_TOKEN,
    name="limits.of_token",
    title="A token's limits",
    service=selectors.token_limits_get,
    response=LimitsView,
)
def limits_of_token(asked: Asked, token_id: UUID) -> LimitsView:
    """What one token may use, of what its organization may, and what it uses now."""
    return _limits(selectors.token_limits_get(grant=asked.grant(), token_id=token_id))


@endpoint(
    "PUT",
    _OF_TOKEN,
    name="limits.set",
    title="Limit a token",
    service=services.token_limits_set,
    request=AllowanceGiven,
    response=LimitsView,
    if_match=IfMatch.REQUIRED,
)
def limits_set(asked: Asked, token_id: UUID, body: AllowanceGiven) -> LimitsView:
    """What one token may use from now on; not the caller's own."""
    services.token_limits_set(
        grant=asked.grant(),
        token_id=token_id,
        allowance=body.allowance(),
        expected_version=asked.expected_version,
    )
    return _limits(selectors.limit_use(organization_id=asked.principal.organization_id, token_id=token_id))


def _usage(row: Usage) -> UsageView:
    return UsageView(day=row.day, kind=UsageKind(row.kind), token_id=row.token_id, amount=row.amount)


def _limits(found: LimitUse) -> LimitsView:
    return LimitsView(
        token_id=found.token_id,
        version=found.version,
        own=AllowanceView.of(found.own),
        allowance=AllowanceView.of(found.allowance),
        calls_last_minute=found.calls_last_minute,
        runs_under_way=found.runs_under_way,
        artifact_bytes_today=found.artifact_bytes_today,
        cost_micros_this_month=found.cost_micros_this_month,
    )


ENDPOINTS = (usage_list, usage_costs, limits_get, limits_of_token, limits_set)
