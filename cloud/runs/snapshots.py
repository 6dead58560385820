"""From a machine's events to the snapshots they leave: the last word on each run, step and gate of a batch.

Called by `services` in its transaction; one statement a kind, however long the batch.
Tests: tests/integration/cloud/runs/test_snapshots.py.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from django.db.models import Model
from pydantic import BaseModel, ValidationError

from cloud.connectors.models import Location
from cloud.runs.models import GateSnapshot, RunSnapshot, StepSnapshot
from local_daemon.protocol import errors, events, messages

V = TypeVar("V", bound=BaseModel)
_COMMON = ["run_id", "as_of", "seq", "view", "state"]


def snapshots_write(location: Location, news: Iterable[events.EventRecord]) -> None:
    """Upsert what the events say, in the open transaction. Raises InvalidRequest for a view that is none."""
    runs: dict[str, RunSnapshot] = {}
    steps: dict[str, StepSnapshot] = {}
    gates: dict[str, GateSnapshot] = {}
    for record in news:
        noun = record.type.partition(".")[0]
        if noun not in ("run", "step", "gate"):
            continue
        found = storable(record.data.get(noun))
        told = _told(location, record, found)
        match noun:
            case "run":
                run = _view(messages.RunView, record, found)
                title = (run.title or run.name or run.objective)[:200]
                runs[run.run_id] = RunSnapshot(**told, run_id=run.run_id, state=run.state, title=title)
            case "step":
                step = _view(messages.StepView, record, found)
                steps[step.step_id] = StepSnapshot(
                    **told,
                    run_id=step.run_id,
                    step_id=step.step_id,
                    state=step.state,
                    title=step.title[:200],
                    executor=step.executor[:40],
                )
            case "gate":
                gate = _view(messages.GateView, record, found)
                gates[gate.gate_id] = GateSnapshot(
                    **told,
                    run_id=gate.run_id,
                    step_id=gate.step_id,
                    gate_id=gate.gate_id,
                    kind=gate.kind,
                    state=gate.state,
                    digest=gate.digest[:64],
                    expires_at=gate.expires_at,
                )
    _upsert(RunSnapshot, runs, key="run_id", fields=["title"])
    _upsert(StepSnapshot, steps, key="step_id", fields=["title", "executor"])
    _upsert(GateSnapshot, gates, key="gate_id", fields=["step_id", "kind", "digest", "expires_at"])


def _view(model: type[V], record: events.EventRecord, found: Any) -> V:
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise errors.InvalidRequest(f"Event {record.seq} holds no view of its noun.", seq=record.seq) from error


def _told(location: Location, record: events.EventRecord, found: Any) -> dict[str, Any]:
    return {
        "organization_id": location.organization_id,
        "project_id": location.project_id,
        "location_id": location.id,
        "as_of": record.at,
        "seq": record.seq,
        "view": found,
    }


def _upsert(model: type[Model], rows: Mapping[str, Model], *, key: str, fields: list[str]) -> None:
    if rows:
        update = [name for name in [*_COMMON, *fields] if name != key]
        model._default_manager.bulk_create(
            rows.values(), update_conflicts=True, unique_fields=["location", key], update_fields=update
        )


def storable(value: Any) -> Any:
    """A JSON value without what PostgreSQL's JSON cannot hold: NUL and lone surrogates become U+FFFD."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", errors="replace").decode("utf-8")
    if isinstance(value, dict):
        return {storable(name): storable(member) for name, member in value.items()}
    if isinstance(value, list):
        return [storable(member) for member in value]
    return value
