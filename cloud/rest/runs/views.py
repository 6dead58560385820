"""Runs, steps, gates and what happened, as last heard of; beginning, ending and deciding, by asking the machine.

Everything else of a run is below /api/v2. Tests: tests/integration/cloud/rest/test_runs.py,
tests/integration/cloud/relay/test_rest.py.
"""

from typing import Any

from cloud.rest import machines, pages
from cloud.rest.collection import Collection
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
from local_daemon.protocol import limits, messages, states

_RUN = "/runs/{run_id}"
_WHERE = frozenset({"project_id", "location"})


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
    "POST",
    "/gates/{gate_id}/decide",
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


_runs = Collection(name="runs", path="/runs", id_name="run_id", view=_run, response=RunHeard)
_steps = Collection(name="steps", path="/steps", id_name="step_id", view=_step, response=StepHeard)
_gates = Collection(name="gates", path="/gates", id_name="gate_id", view=_gate, response=GateHeard)

ENDPOINTS = (
    _runs.list_newest(
        "Runs",
        "The runs of every project within reach, newest first.",
        selectors.run_page,
        query=RunQuery,
        page=RunHeardPage,
    ),
    runs_create,
    _runs.get("A run", "One run.", selectors.run_get),
    runs_cancel,
    runs_events,
    _steps.list_newest(
        "Steps",
        "The steps of every project within reach, or of one run; newest first.",
        selectors.step_page,
        query=StepQuery,
        page=StepHeardPage,
    ),
    _steps.get("A step", "One step.", selectors.step_get),
    _gates.list_newest(
        "Gates",
        "The gates of every project within reach, newest first; `state=open`: those that wait for somebody.",
        selectors.gate_page,
        query=GateQuery,
        page=GateHeardPage,
    ),
    _gates.get("A gate", "One gate.", selectors.gate_get),
    gates_decide,
)
