"""From a machine's events to the snapshots they leave: the last word on each run, step and gate of a batch.

Called by `services` in its transaction; one statement a kind, however long the batch.
Tests: tests/integration/cloud/runs/test_services.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError

from cloud.runs import rows
from cloud.runs.models import GateSnapshot, RunSnapshot, StepSnapshot
from local_daemon.protocol import errors, events, ids, messages

V = TypeVar("V", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose events they are, and where from."""

    organization_id: UUID
    project_id: UUID
    location_id: UUID


def snapshots_write(place: Place, news: Iterable[events.EventRecord]) -> None:
    """Upsert what the events say, with the open transaction's commit. Raises InvalidRequest for a view that is none."""
    runs: dict[str, dict[str, Any]] = {}
    steps: dict[str, dict[str, Any]] = {}
    gates: dict[str, dict[str, Any]] = {}
    for record in news:
        noun = record.type.partition(".")[0]
        if noun not in ("run", "step", "gate"):
            continue
        found = storable(record.data.get(noun))
        told = _told(place, record, found)
        match noun:
            case "run":
                run = _view(messages.RunView, record, found)
                title = (run.title or run.name or run.objective)[:200]
                runs[run.run_id] = {**told, "run_id": run.run_id, "state": run.state, "title": title}
            case "step":
                step = _view(messages.StepView, record, found)
                steps[step.step_id] = {
                    **told,
                    "run_id": step.run_id,
                    "step_id": step.step_id,
                    "state": step.state,
                    "title": step.title[:200],
                    "executor": step.executor[:40],
                }
            case "gate":
                gate = _view(messages.GateView, record, found)
                gates[gate.gate_id] = {
                    **told,
                    "run_id": gate.run_id,
                    "step_id": gate.step_id,
                    "gate_id": gate.gate_id,
                    "kind": gate.kind,
                    "state": gate.state,
                    "digest": gate.digest[:64],
                    "expires_at": gate.expires_at,
                }
    rows.rows_upsert(RunSnapshot, runs.values(), key=("location_id", "run_id"))
    rows.rows_upsert(StepSnapshot, steps.values(), key=("location_id", "step_id"))
    rows.rows_upsert(GateSnapshot, gates.values(), key=("location_id", "gate_id"))


def _view(model: type[V], record: events.EventRecord, found: Any) -> V:
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise errors.InvalidRequest(f"Event {record.seq} holds no view of its noun.", seq=record.seq) from error


def _told(place: Place, record: events.EventRecord, found: Any) -> dict[str, Any]:
    return {
        "id": ids.new_uuid7(),
        "organization_id": place.organization_id,
        "project_id": place.project_id,
        "location_id": place.location_id,
        "as_of": record.at,
        "seq": record.seq,
        "view": found,
    }


def storable(value: Any) -> Any:
    """A JSON value without what PostgreSQL's JSON cannot hold: NUL and lone surrogates become U+FFFD."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", errors="replace").decode("utf-8")
    if isinstance(value, dict):
        return {storable(name): storable(member) for name, member in value.items()}
    if isinstance(value, list):
        return [storable(member) for member in value]
    return value
