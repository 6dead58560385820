"""Runs, steps and gates on the wire, as the cloud last heard of them, each with `as_of`: the truth is on the machine.

Tests: tests/integration/cloud/rest/test_runs.py.
"""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints

from cloud.rest import queries
from local_daemon.protocol import ids, messages, states, wire

RunId = Annotated[str, StringConstraints(pattern=ids.pattern_for(ids.IdPrefix.RUN))]


class RunQuery(messages.PageQuery):
    """Runs, newest first: of one project or state, or whose title holds `search`. A page of a search looks through so
    many runs only: it may hold fewer than asked for, or none, while `next_cursor` goes on."""

    project_id: UUID | None = None
    state: states.RunState | None = None
    search: queries.Search = ""


class StepQuery(messages.PageQuery):
    """Steps, newest first: of one project, run or state."""

    project_id: UUID | None = None
    run_id: RunId | None = None
    state: states.StepState | None = None


class GateQuery(messages.PageQuery):
    """Gates, newest first: of one project or state."""

    project_id: UUID | None = None
    state: states.GateState | None = None


class RunStart(messages.RunCreate):
    """Opens a run in a project; `location` names one of its places where it has several."""

    project_id: UUID
    location: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")] | None = None


class _Heard(wire.ViewModel):
    """Where it is, and as of when the cloud knows."""

    project_id: UUID
    location_id: UUID
    machine: str
    as_of: wire.Instant


class RunHeard(_Heard):
    """A run as last heard of. `run` is the machine's own view."""

    run_id: str
    state: states.RunState
    title: str
    run: dict[str, Any]


class RunHeardPage(wire.ViewModel):
    """Runs within reach."""

    items: tuple[RunHeard, ...]
    next_cursor: str | None


class StepHeard(_Heard):
    """A step as last heard of. `step` is the machine's own view."""

    step_id: str
    run_id: str
    state: states.StepState
    title: str
    executor: str
    step: dict[str, Any]


class StepHeardPage(wire.ViewModel):
    """Steps within reach."""

    items: tuple[StepHeard, ...]
    next_cursor: str | None


class GateHeard(_Heard):
    """A gate as last heard of. `gate` is the machine's own view; an approval names its `digest`."""

    gate_id: str
    run_id: str
    step_id: str
    kind: states.GateKind
    state: states.GateState
    digest: str
    expires_at: wire.Instant
    gate: dict[str, Any]


class GateHeardPage(wire.ViewModel):
    """Gates within reach."""

    items: tuple[GateHeard, ...]
    next_cursor: str | None


class RunEventView(wire.ViewModel):
    """One event of a machine's log. `seq` is its position there; `record` is what was logged."""

    event_id: int = Field(description="Its position in the organization's feed.")
    event_type: str
    at: wire.Instant
    seq: int
    step_id: str | None
    call_id: str | None
    record: dict[str, Any]


class RunEventPage(wire.ViewModel):
    """What happened to a run, oldest first."""

    items: tuple[RunEventView, ...]
    next_cursor: str | None
