"""Runs, steps, gates and what happened, as last heard of; beginning, ending and deciding, by asking the machine.

Everything else of a run is below /api/v2. Tests: tests/integration/cloud/rest/test_runs.py,
tests/integration/cloud/relay/test_rest.py.
"""

from typing import Any

from cloud.rest import machines, pages
from cloud.rest.endpoints import Answered, Asked, endpoint
from cloud.rest.runs.messages import (
    GateHeard,
    GateHeardPage,
    GateQuery,
    RunEventPage,
    RunEventView,
    RunHeard,
    RunHeardPage,
    RunQuery,
    RunStart,
    StepHeard,
    StepHeardPage,
    StepQuery,
)
from cloud.runs import selectors
from cloud.runs.models import GateSnapshot, RunEvent, RunSnapshot, Snapshot, StepSnapshot
from local_daemon.protocol import ids, limits, messages, states

_RUN = "/runs/{run_id}"
_GATE = "/gates/{gate_id}"
_WHERE = frozenset({"project_id", "location"})


@endpoint(
    "GET", "/runs", name="runs.list", title="Runs", service=selectors.run_page, query=RunQuery, response=RunHeardPage
)
def runs_list(asked: Asked, query: RunQuery) -> RunHeardPage:
    """The runs of every project within reach, newest first."""
    rows = selectors.run_page(
        grant=asked.grant(),
        project_id=query.project_id,
        state=query.state,
        search=query.search,
        limit=query.limit,
        before=pages.after_record(query.cursor, ids.IdPrefix.RUN),
    )
    return RunHeardPage(**pages.rows_told(rows, _run, limit=query.limit, mark=lambda row: row.run_id))


@endpoint(
    "POST",
    "/runs",
    name="runs.create",
    title="Open a run",
    operation="runs.create",
    request=RunStart,
    response=messages.RunAnswer,
    body_bytes=limits.BODY_BYTES,
)
def runs_create(asked: Asked, body: RunStart) -> Answered:
    """Open a run on the machine where the project is; its steps are submitted below /api/v2."""
    return machines.machine_ask(
        asked,
        "runs.create",
        project_id=body.project_id,
        location=body.location,
        parameters={},
        body=body,
        left_out=_WHERE,
    )


@endpoint("GET", _RUN, name="runs.get", title="A run", service=selectors.run_get, response=RunHeard)
def runs_get(asked: Asked, run_id: str) -> RunHeard:
    """One run."""
    return _run(selectors.run_get(grant=asked.grant(), run_id=run_id))


@endpoint(
    "POST",
    f"{_RUN}/cancel",
    name="runs.cancel",
    title="Cancel a run",
    operation="runs.cancel",
    request=messages.CancelRequest,
    response=messages.RunAnswer,
)
def runs_cancel(asked: Asked, run_id: str, body: messages.CancelRequest) -> Answered:
    """Ask the machine to end a run and all of its steps."""
    row = selectors.run_get(grant=asked.grant(selectors.run_get), run_id=run_id)
    return machines.machine_ask(asked, "runs.cancel", **_place(row), parameters={"run_id": run_id}, body=body)


@endpoint(
    "GET",
    f"{_RUN}/events",
    name="runs.events",
    title="What happened to a run",
    service=selectors.run_event_page,
    query=messages.PageQuery,
    response=RunEventPage,
)
def runs_events(asked: Asked, run_id: str, query: messages.PageQuery) -> RunEventPage:
    """The events of a run, in the order in which the cloud took them in."""
    rows = selectors.run_event_page(
        grant=asked.grant(), run_id=run_id, limit=query.limit, after=pages.after_number(query.cursor)
    )
    return RunEventPage(**pages.rows_told(rows, _event, limit=query.limit, mark=lambda row: row.id))


@endpoint(
    "GET",
    "/steps",
    name="steps.list",
    title="Steps",
    service=selectors.step_page,
    query=StepQuery,
    response=StepHeardPage,
)
def steps_list(asked: Asked, query: StepQuery) -> StepHeardPage:
    """The steps of every project within reach, or of one run; newest first."""
    rows = selectors.step_page(
        grant=asked.grant(),
        project_id=query.project_id,
        run_id=query.run_id,
        state=query.state,
        limit=query.limit,
        before=pages.after_record(query.cursor, ids.IdPrefix.STEP),
    )
    return StepHeardPage(**pages.rows_told(rows, _step, limit=query.limit, mark=lambda row: row.step_id))


@endpoint("GET", "/steps/{step_id}", name="steps.get", title="A step", service=selectors.step_get, response=StepHeard)
def steps_get(asked: Asked, step_id: str) -> StepHeard:
    """One step."""
    return _step(selectors.step_get(grant=asked.grant(), step_id=step_id))


@endpoint(
    "GET",
    "/gates",
    name="gates.list",
    title="Gates",
    service=selectors.gate_page,
    query=GateQuery,
    response=GateHeardPage,
)
def gates_list(asked: Asked, query: GateQuery) -> GateHeardPage:
    """The gates of every project within reach, newest first; `state=open`: those that wait for somebody."""
    rows = selectors.gate_page(
        grant=asked.grant(),
        project_id=query.project_id,
        state=query.state,
        limit=query.limit,
        before=pages.after_record(query.cursor, ids.IdPrefix.GATE),
    )
    return GateHeardPage(**pages.rows_told(rows, _gate, limit=query.limit, mark=lambda row: row.gate_id))


@endpoint("GET", _GATE, name="gates.get", title="A gate", service=selectors.gate_get, response=GateHeard)
def gates_get(asked: Asked, gate_id: str) -> GateHeard:
    """One gate."""
    return _gate(selectors.gate_get(grant=asked.grant(), gate_id=gate_id))


@endpoint(
    "POST",
    f"{_GATE}/decide",
    name="gates.decide",
    title="Decide a gate",
    operation="gates.decide",
    request=messages.GateDecide,
    response=messages.GateAnswer,
)
def gates_decide(asked: Asked, gate_id: str, body: messages.GateDecide) -> Answered:
    """Approve, reject or answer; an approval names the digest that was shown, and holds for that alone."""
    row = selectors.gate_get(grant=asked.grant(selectors.gate_get), gate_id=gate_id)
    return machines.machine_ask(asked, "gates.decide", **_place(row), parameters={"gate_id": gate_id}, body=body)


def _place(row: Snapshot) -> dict[str, Any]:
    return {"project_id": row.project_id, "location": str(row.location_id)}


def _heard(row: Snapshot) -> dict[str, Any]:
    return {
        "project_id": row.project_id,
        "location_id": row.location_id,
        "machine": row.location.instance.connector.label,
        "as_of": row.as_of,
    }


def _run(row: RunSnapshot) -> RunHeard:
    state = states.RunState(row.state)
    return RunHeard(run_id=row.run_id, state=state, title=row.title, run=row.view, **_heard(row))


def _step(row: StepSnapshot) -> StepHeard:
    return StepHeard(
        step_id=row.step_id,
        run_id=row.run_id,
        state=states.StepState(row.state),
        title=row.title,
        executor=row.executor,
        step=row.view,
        **_heard(row),
    )


def _gate(row: GateSnapshot) -> GateHeard:
    return GateHeard(
        gate_id=row.gate_id,
        run_id=row.run_id,
        step_id=row.step_id,
        kind=states.GateKind(row.kind),
        state=states.GateState(row.state),
        digest=row.digest,
        expires_at=row.expires_at,
        gate=row.view,
        **_heard(row),
    )


def _event(row: RunEvent) -> RunEventView:
    return RunEventView(
        event_id=row.id,
        event_type=row.event_type,
        at=row.at,
        seq=row.seq,
        step_id=row.step_id or None,
        call_id=row.call_id or None,
        record=row.record,
    )


ENDPOINTS = (
    runs_list,
    runs_create,
    runs_get,
    runs_cancel,
    runs_events,
    steps_list,
    steps_get,
    gates_list,
    gates_get,
    gates_decide,
)
