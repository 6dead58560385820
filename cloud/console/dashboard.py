"""What an organization is at: its fleet, today's runs, gates that wait, failures, use, and its audit as a chart.

A fixed number of queries, whatever there is; each card only for who may read what it counts. Named by the settings.
Tests: tests/integration/cloud/console/test_dashboard.py.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest
from django.utils import timezone

from cloud.access.principals import Principal
from cloud.accounts.models import User
from cloud.audit.models import AuditRollup, Outcome, RollupPeriod
from cloud.connectors.models import Connector
from cloud.console import beginning, charts, lists, middleware, viewer
from cloud.limits import selectors as limits
from cloud.limits.selectors import LimitUse
from cloud.runs.models import GateSnapshot, RunSnapshot, StepSnapshot
from cloud.tenancy import selectors
from cloud.tenancy.models import Membership
from local_daemon.protocol import ids, states
from local_daemon.protocol.scopes import Scope

SHOWN_ROWS = 8
HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The machines."""

    online: int
    total: int
    rows: list[Connector]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many there are, and the newest of them."""

    count: int
    rows: list[Any]


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The facts that the index page shows, in the viewer's scope."""
    principal = viewer.principal_of(request)
    now = datetime.now(UTC)
    may = Scope.__members__.values() if request.user.is_superuser else (principal.scopes if principal else ())
    # Days and hours are those of the organization's clocks.
    now = timezone.localtime(now)
    facts: dict[str, Any] = {"now": now, "organizations": middleware.memberships_of(request)}
    facts["zone"] = timezone.get_current_timezone_name()
    facts["current"] = next((row.organization for row in facts["organizations"] if _is_of(row, principal)), None)
    if principal is None and isinstance(request.user, User) and not request.user.is_superuser:
        facts["out_of_use"] = selectors.memberships_out_of_use(request.user.pk)
    if Scope.CONNECTORS_READ in may:
        facts["fleet"] = _fleet(request)
    if Scope.RUNS_READ in may:
        facts["runs"] = _runs(request, now)
        facts["waiting"] = _waiting(request, now)
        facts["failed"] = _failed(request, now)
        facts["beginning"] = () if facts["runs"].rows else beginning.first_steps(request)
    if Scope.USAGE_READ in may and (principal is None or principal.project_ids is None):
        facts["chart"] = _chart(request, now)
        facts["use"] = _use(principal)
    return {**context, **facts}


def _is_of(row: Membership, principal: Principal | None) -> bool:
    return principal is not None and row.organization_id == principal.organization_id


def _rows(request: HttpRequest, model: type[Any]) -> QuerySet[Any]:
    """What the model's own page shows: the same reach, decided in the same place."""
    return admin.site._registry[model].get_queryset(request)


def _fleet(request: HttpRequest) -> Fleet:
    rows = _rows(request, Connector).filter(released_at=None, status="active")
    counted = rows.aggregate(total=Count("pk"), online=Count("pk", filter=~Q(link_owner="")))
    newest = rows.prefetch_related(None).select_related("health").order_by("link_owner", "-last_seen_at")
    return Fleet(online=counted["online"], total=counted["total"], rows=list(newest[:SHOWN_ROWS]))


def _runs(request: HttpRequest, now: datetime) -> Counted:
    rows = _rows(request, RunSnapshot)
    today = dict(_since(rows, "run_id", ids.IdPrefix.RUN, now).values_list("state").annotate(Count("pk")).order_by())
    newest = rows.select_related("project").defer("view").order_by("-run_id")
    return Counted(count=sum(today.values()), rows=list(newest[:SHOWN_ROWS]))


def _waiting(request: HttpRequest, now: datetime) -> Counted:
    rows = _rows(request, GateSnapshot).filter(state=states.GateState.OPEN, expires_at__gt=now)
    held = StepSnapshot.objects.filter(location_id=OuterRef("location_id"), step_id=OuterRef("step_id"))
    newest = rows.annotate(step_title=Subquery(held.values("title")[:1])).select_related("project").order_by("-gate_id")
    return Counted(count=rows.order_by()[:1000].count(), rows=list(newest[:SHOWN_ROWS]))


def _failed(request: HttpRequest, now: datetime) -> Counted:
    today = _since(_rows(request, StepSnapshot), "step_id", ids.IdPrefix.STEP, now)
    rows = today.filter(state__in=[states.StepState.FAILED, states.StepState.NEEDS_ATTENTION])
    return Counted(count=rows.count(), rows=list(rows.select_related("project").order_by("-step_id")[:SHOWN_ROWS]))


def _since(rows: QuerySet[Any], column: str, prefix: ids.IdPrefix, now: datetime) -> QuerySet[Any]:
    """What was made today, as the lists' own filter has it, to which the figures lead."""
    return lists.begun_since(rows, column, prefix, now.replace(hour=0, minute=0, second=0, microsecond=0))


def _chart(request: HttpRequest, now: datetime) -> charts.Chart:
    # Counted in whole hours of UTC, and so shown: a zone may be half an hour off, and a day 23 hours long.
    since = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    rows = _rows(request, AuditRollup).filter(period=RollupPeriod.HOUR, bucket_start__gte=since)
    counted: dict[tuple[datetime, bool], int] = {}
    for start, outcome, total in rows.order_by().values_list("bucket_start", "outcome").annotate(Sum("count")):
        key = (start, outcome == Outcome.OK)
        counted[key] = counted.get(key, 0) + int(total)
    hours = [since + timedelta(hours=hour) for hour in range(HOURS)]
    labels = [f"{timezone.localtime(hour):%H:%M}" for hour in hours]
    return charts.chart_of(
        [
            (label, counted.get((hour, True), 0), counted.get((hour, False), 0))
            for label, hour in zip(labels, hours, strict=True)
        ]
    )


def _use(principal: Principal | None) -> LimitUse | None:
    """An organization's; an operator looks at all of them at once."""
    if principal is None:
        return None
    return limits.limit_use(organization_id=principal.organization_id, token_id=None)
