"""Reading what the cloud last heard of runs, steps and gates, within a grant's reach.

Deliberately not asking any machine: `cloud.dispatch` does that, and each row says as of when it is. Callers open the
organization's scope. For REST, MCP and `cloudctl`. Tests: tests/integration/cloud/runs/test_selectors.py.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar
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

SEARCHED_MAX = 20_000
"""How many runs one page of a search looks through. No index finds a part of a title: behind row-level security the
database uses one only for what it holds for leakproof, and matching a pattern is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest(Generic[S]):
    """Rows, newest first, and the record before which the next page begins; None: there is none."""

    items: list[S]
    next_before: str | None


@grants.needs(Scope.RUNS_READ)
def run_page(
    *,
    grant: Grant,
    project_id: UUID | None = None,
    state: RunState | None = None,
    search: str = "",
    limit: int = 50,
    before: str | None = None,
) -> Newest[RunSnapshot]:
    """Runs older than the run `before`; those whose title holds `search`, of SEARCHED_MAX that are looked through: then
    a page may hold few, or none, and another follow it."""
    rows = _within(grant, RunSnapshot.objects.all(), project_id)
    if state is not None:
        rows = rows.filter(state=state)
    if not search:
        return _newest(rows, "run_id", limit=limit, before=before)
    if before is not None:
        rows = rows.filter(run_id__lt=before)
    # What is passed over is read from the index alone.
    ids_only = rows.prefetch_related(None).order_by("-run_id").values_list("run_id", flat=True)
    last = next(iter(ids_only[SEARCHED_MAX - 1 : SEARCHED_MAX]), None)
    if last is not None:
        rows = rows.filter(run_id__gte=last)
    page = _newest(rows.filter(title__icontains=search), "run_id", limit=limit, before=None)
    return page if page.next_before else Newest(items=page.items, next_before=last)


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
) -> Newest[StepSnapshot]:
    """Steps of every project in reach, older than the step `before`."""
    rows = _within(grant, StepSnapshot.objects.all(), project_id)
    if run_id is not None:
        rows = rows.filter(run_id=run_id)
    if state is not None:
        rows = rows.filter(state=state)
    return _newest(rows, "step_id", limit=limit, before=before)


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
) -> Newest[GateSnapshot]:
    """Gates of every project in reach, older than the gate `before`."""
    rows = _within(grant, GateSnapshot.objects.all(), project_id)
    if state is not None:
        rows = rows.filter(state=state)
    return _newest(rows, "gate_id", limit=limit, before=before)


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


def _newest(rows: QuerySet[S], mark: str, *, limit: int, before: str | None) -> Newest[S]:
    """A page by the id that a machine gave; a full one may be followed by an empty one."""
    if before is not None:
        rows = rows.filter(**{f"{mark}__lt": before})
    size = _size(limit)
    found = list(rows.order_by(f"-{mark}")[:size])
    return Newest(items=found, next_before=getattr(found[-1], mark) if len(found) == size else None)


def _one(rows: QuerySet[S]) -> S:
    found = rows.first()
    if found is None:
        raise errors.NotFound
    return found


def _size(limit: int) -> int:
    return max(1, min(limit, PAGE_MAX))
