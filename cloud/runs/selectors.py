"""Reading what the cloud last heard of runs, steps and gates, within a grant's reach.

Deliberately not asking any machine: `cloud.dispatch` does that, and each row says as of when it is. Callers open the
organization's scope. For REST, MCP and `cloudctl`. Tests: tests/integration/cloud/runs/test_selectors.py.
"""

from typing import TypeVar
from uuid import UUID

from django.db.models import Q, QuerySet

from cloud.access.principals import Grant
from cloud.runs.models import GateSnapshot, RunEvent, RunSnapshot, Snapshot, StepSnapshot
from cloud.tenancy import grants
from cloud.tenancy.pages import PAGE_MAX
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope
from local_daemon.protocol.states import GateState, RunState, StepState

S = TypeVar("S", bound=Snapshot)


@grants.needs(Scope.RUNS_READ)
def run_page(
    *,
    grant: Grant,
    project_id: UUID | None = None,
    state: RunState | None = None,
    search: str = "",
    limit: int = 50,
    before: str | None = None,
) -> list[RunSnapshot]:
    """Runs, newest first, older than the run `before`; those whose title holds `search`."""
    rows = _within(grant, RunSnapshot.objects.all(), project_id)
    if state is not None:
        rows = rows.filter(state=state)
    if search:
        rows = rows.filter(title__icontains=search)
    if before is not None:
        rows = rows.filter(run_id__lt=before)
    return list(rows.order_by("-run_id")[: _size(limit)])


@grants.needs(Scope.RUNS_READ)
def run_get(*, grant: Grant, run_id: str) -> RunSnapshot:
    """One run. Raises NotFound."""
    return _one(_within(grant, RunSnapshot.objects.filter(run_id=run_id), None))


@grants.needs(Scope.RUNS_READ)
def run_event_page(*, grant: Grant, run_id: str, limit: int = 50, after: int | None = None) -> list[RunEvent]:
    """What happened to a run, in the order in which the cloud took it in, after the event `after`. Raises NotFound."""
    run = run_get(grant=grant, run_id=run_id)
    rows = RunEvent.objects.filter(location_id=run.location_id, run_id=run_id)
    if after is not None:
        rows = rows.filter(id__gt=after)
    return list(rows.order_by("id")[: _size(limit)])


@grants.needs(Scope.STEPS_READ)
def step_page(
    *,
    grant: Grant,
    project_id: UUID | None = None,
    run_id: str | None = None,
    state: StepState | None = None,
    limit: int = 50,
    before: str | None = None,
) -> list[StepSnapshot]:
    """Steps of every project in reach, newest first, older than the step `before`."""
    rows = _within(grant, StepSnapshot.objects.all(), project_id)
    if run_id is not None:
        rows = rows.filter(run_id=run_id)
    if state is not None:
        rows = rows.filter(state=state)
    if before is not None:
        rows = rows.filter(step_id__lt=before)
    return list(rows.order_by("-step_id")[: _size(limit)])


@grants.needs(Scope.STEPS_READ)
def step_get(*, grant: Grant, step_id: str) -> StepSnapshot:
    """One step. Raises NotFound."""
    return _one(_within(grant, StepSnapshot.objects.filter(step_id=step_id), None))


@grants.needs(Scope.GATES_READ)
def gate_page(
    *,
    grant: Grant,
    project_id: UUID | None = None,
    state: GateState | None = None,
    limit: int = 50,
    before: str | None = None,
) -> list[GateSnapshot]:
    """Gates of every project in reach, newest first, older than the gate `before`."""
    rows = _within(grant, GateSnapshot.objects.all(), project_id)
    if state is not None:
        rows = rows.filter(state=state)
    if before is not None:
        rows = rows.filter(gate_id__lt=before)
    return list(rows.order_by("-gate_id")[: _size(limit)])


@grants.needs(Scope.GATES_READ)
def gate_get(*, grant: Grant, gate_id: str) -> GateSnapshot:
    """One gate. Raises NotFound."""
    return _one(_within(grant, GateSnapshot.objects.filter(gate_id=gate_id), None))


def _within(grant: Grant, rows: QuerySet[S], project_id: UUID | None) -> QuerySet[S]:
    rows = rows.filter(organization_id=grant.organization_id)
    # Read beside the page, not joined to it: where statistics are old, the database would join first and page after.
    rows = rows.prefetch_related("project", "location__instance__connector")
    if project_id is not None:
        rows = rows.filter(project_id=project_id)
    who = grant.principal
    if grants.reaches_everything(who):
        return rows
    within = Q(project_id__in=who.project_ids or ())
    return rows.filter(within | Q(project__workspace_id=who.workspace_id) if who.workspace_id else within)


def _one(rows: QuerySet[S]) -> S:
    found = rows.first()
    if found is None:
        raise errors.NotFound
    return found


def _size(limit: int) -> int:
    return max(1, min(limit, PAGE_MAX))
