"""Work over all projects, for who asks the cloud: runs, steps and gates as last heard of.

Never the truth, which is on the machines: each row says as of when it is, and what to name to ask its machine. Deciding
a gate is asking its machine, so it is not here. Tests: tests/integration/cloud/operations/test_work.py.
"""

from uuid import UUID

from pydantic import Field

from cloud.access.principals import Grant
from cloud.operations import paging
from cloud.operations.operation import CloudOperation
from cloud.runs import selectors
from cloud.runs.models import GateSnapshot, RunSnapshot, Snapshot, StepSnapshot
from local_daemon.protocol import messages, states, wire
from local_daemon.protocol.ids import IdPrefix
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.scopes import Scope


class RecentRunQuery(messages.PageQuery):
    """Runs of every project, newest first; of one project, in one state, or whose title holds `search`: then a page may
    hold fewer than asked for while `next_cursor` goes on."""

    project_id: UUID | None = None
    state: states.RunState | None = None
    search: wire.Line | None = None


class RecentStepQuery(messages.PageQuery):
    """Steps of every project, newest first; of one project, of one run, or in one state."""

    project_id: UUID | None = None
    run_id: str | None = Field(default=None, max_length=31)
    state: states.StepState | None = None


class WaitingGateQuery(messages.PageQuery):
    """Gates of every project, newest first: the open ones, unless another state is named."""

    project_id: UUID | None = None
    state: states.GateState | None = states.GateState.OPEN


class _WhereView(wire.ViewModel):
    """What to name to ask the machine: `project_id`, and `location_id` as `location`."""

    project_id: str
    project: str
    location_id: str
    machine: str
    is_online: bool
    as_of: wire.Instant


class RecentRunView(_WhereView):
    """A run as last heard of."""

    run_id: str
    title: str
    state: states.RunState
    step_counts: dict[str, int]


class RecentStepView(_WhereView):
    """A step as last heard of. `has_patch`: it left changes, which steps_result and its patch show."""

    run_id: str
    step_id: str
    title: str
    executor: str
    state: states.StepState
    gate_id: str | None
    has_patch: bool


class WaitingGateView(_WhereView):
    """A gate as last heard of. An approval names the digest; look at what it stands for before deciding."""

    gate_id: str
    run_id: str
    step_id: str
    kind: states.GateKind
    state: states.GateState
    reason: str
    question: str | None
    digest: str
    expires_at: wire.Instant


class RecentRunPage(wire.ViewModel):
    """Runs, newest first."""

    items: tuple[RecentRunView, ...]
    next_cursor: str | None = None


class RecentStepPage(wire.ViewModel):
    """Steps, newest first."""

    items: tuple[RecentStepView, ...]
    next_cursor: str | None = None


class WaitingGatePage(wire.ViewModel):
    """Gates, newest first."""

    items: tuple[WaitingGateView, ...]
    next_cursor: str | None = None


def runs_recent(grant: Grant, asked: RecentRunQuery) -> RecentRunPage:
    """Runs within reach."""
    page = selectors.run_page(
        grant=grant,
        project_id=asked.project_id,
        state=asked.state,
        search=asked.search or "",
        limit=asked.limit,
        before=paging.id_of(asked.cursor, IdPrefix.RUN),
    )
    return RecentRunPage(items=tuple(map(_run_view, page.items)), next_cursor=page.next_before)


def steps_recent(grant: Grant, asked: RecentStepQuery) -> RecentStepPage:
    """Steps within reach."""
    page = selectors.step_page(
        grant=grant,
        project_id=asked.project_id,
        run_id=asked.run_id,
        state=asked.state,
        limit=asked.limit,
        before=paging.id_of(asked.cursor, IdPrefix.STEP),
    )
    return RecentStepPage(items=tuple(map(_step_view, page.items)), next_cursor=page.next_before)


def gates_waiting(grant: Grant, asked: WaitingGateQuery) -> WaitingGatePage:
    """Gates within reach."""
    page = selectors.gate_page(
        grant=grant,
        project_id=asked.project_id,
        state=asked.state,
        limit=asked.limit,
        before=paging.id_of(asked.cursor, IdPrefix.GATE),
    )
    return WaitingGatePage(items=tuple(map(_gate_view, page.items)), next_cursor=page.next_before)


def _run_view(row: RunSnapshot) -> RecentRunView:
    return RecentRunView(
        **_where(row).model_dump(),
        run_id=row.run_id,
        title=row.title,
        state=states.RunState(row.state),
        step_counts=row.view.get("step_counts") or {},
    )


def _step_view(row: StepSnapshot) -> RecentStepView:
    return RecentStepView(
        **_where(row).model_dump(),
        run_id=row.run_id,
        step_id=row.step_id,
        title=row.title,
        executor=row.executor,
        state=states.StepState(row.state),
        gate_id=row.view.get("gate_id"),
        has_patch=bool(row.view.get("patch_sha256")),
    )


def _gate_view(row: GateSnapshot) -> WaitingGateView:
    return WaitingGateView(
        **_where(row).model_dump(),
        gate_id=row.gate_id,
        run_id=row.run_id,
        step_id=row.step_id,
        kind=states.GateKind(row.kind),
        state=states.GateState(row.state),
        reason=str(row.view.get("reason") or ""),
        question=row.view.get("question"),
        digest=row.digest,
        expires_at=row.expires_at,
    )


def _where(row: Snapshot) -> _WhereView:
    connector = row.location.instance.connector
    return _WhereView(
        project_id=str(row.project_id),
        project=row.project.name,
        location_id=str(row.location_id),
        machine=connector.label,
        is_online=bool(connector.link_owner),
        as_of=row.as_of,
    )


OPERATIONS = (
    CloudOperation(
        operation=Operation(
            name="runs.recent",
            title="Recent runs",
            description="Runs of every project that this credential reaches, newest first, as last heard of.",
            method="GET",
            path="/runs",
            scope=Scope.RUNS_READ,
            query=RecentRunQuery,
            response=RecentRunPage,
        ),
        answer=runs_recent,
    ),
    CloudOperation(
        operation=Operation(
            name="steps.recent",
            title="Recent steps",
            description="Steps of every project that this credential reaches, newest first, as last heard of.",
            method="GET",
            path="/steps",
            scope=Scope.STEPS_READ,
            query=RecentStepQuery,
            response=RecentStepPage,
        ),
        answer=steps_recent,
    ),
    CloudOperation(
        operation=Operation(
            name="gates.waiting",
            title="Gates that wait",
            description="Decisions that work waits for, of every project that this credential reaches. Decide with "
            "gates_decide, naming the project, the location and the digest shown.",
            method="GET",
            path="/gates",
            scope=Scope.GATES_READ,
            query=WaitingGateQuery,
            response=WaitingGatePage,
        ),
        answer=gates_waiting,
    ),
)
