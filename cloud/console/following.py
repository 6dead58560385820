"""A run and a step as they go: what the cloud last heard, and beside a step what only its machine has.

The pages mark what changes; the browser asks for them again when the feed says that something moved (`live.py`). A
machine that is away leaves its parts out and the rest stands. Called by `admin/runs.py`. Tests:
tests/integration/cloud/console/test_following.py, tests/integration/cloud/relay/test_following.py.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from cloud.console import diffs, remote
from cloud.console.remote import RemoteMachine
from cloud.runs.models import GateSnapshot, RunEvent, RunSnapshot, StepSnapshot
from local_daemon.protocol import errors, limits, messages, specs

if TYPE_CHECKING:
    from cloud.console.tenant_admin import TenantAdmin

STEPS_MAX = 500
EVENTS_MAX = 100
PATCH_BYTES = 512 * limits.KIB
LOG_BYTES = 32 * limits.KIB
_LONG = {"limit": limits.PAGE_ITEMS_MAX}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event, as a line."""

    event: RunEvent
    what: str


@dataclass(slots=True, kw_only=True)
class StepEvidence:
    """What the machine says of a step; `refusal` is why it says no more."""

    result: specs.ResultSpec | None = None
    attempts: list[messages.AttemptView] = field(default_factory=list)
    diff: diffs.Diff | None = None
    patch_note: str = ""
    log: messages.LogChunk | None = None
    refusal: str = ""


def run_page(page: "TenantAdmin", request: HttpRequest, run: RunSnapshot) -> HttpResponse:
    """One run: its steps, its gates, and what happened."""
    # Read first: what happens while the page is made is told again.
    after = last_event_id(run)
    steps = list(_of_run(StepSnapshot, run).order_by("step_id")[:STEPS_MAX])
    gates = _gates(run, steps)
    events = list(RunEvent.objects.filter(location_id=run.location_id, run_id=run.run_id).order_by("-id")[:EVENTS_MAX])
    context = {
        **page.admin_site.each_context(request),
        "title": str(run),
        "opts": page.model._meta,
        "run": run,
        "steps": [(step, gates.get(str(step.view.get("gate_id") or ""))) for step in steps],
        "steps_max": STEPS_MAX,
        "events": [Told(event=event, what=_what(event)) for event in events],
        "after": after,
    }
    return TemplateResponse(request, "console/run.html", context)


def step_page(page: "TenantAdmin", request: HttpRequest, step: StepSnapshot) -> HttpResponse:
    """One step: how it went, its changes, checks, evidence and output."""
    after = last_event_id(step)
    run = _of_run(RunSnapshot, step).first()
    context = {
        **page.admin_site.each_context(request),
        "title": str(step),
        "opts": page.model._meta,
        "step": step,
        "run": run,
        "gate": _gates(step, [step]).get(str(step.view.get("gate_id") or "")),
        "evidence": _evidence(remote.machine_of(request, step), step),
        "after": after,
    }
    return TemplateResponse(request, "console/step.html", context)


def last_event_id(row: RunSnapshot | StepSnapshot) -> int:
    """How far the feed of its organization is."""
    newest = RunEvent.objects.filter(organization_id=row.organization_id).order_by("-id")
    return newest.values_list("id", flat=True).first() or 0


def _of_run(model: type[Any], row: RunSnapshot | StepSnapshot) -> Any:
    return model.objects.filter(location_id=row.location_id, run_id=row.run_id)


def _gates(row: RunSnapshot | StepSnapshot, steps: list[StepSnapshot]) -> dict[str, GateSnapshot]:
    """The gates that these steps wait on, or waited on last."""
    named = {str(step.view["gate_id"]) for step in steps if step.view.get("gate_id")}
    found = GateSnapshot.objects.filter(location_id=row.location_id, gate_id__in=named)
    return {gate.gate_id: gate for gate in found}


def _what(event: RunEvent) -> str:
    """What an event says, in a few words."""
    noun = event.event_type.partition(".")[0]
    told = (event.record.get("data") or {}).get(noun)
    if not isinstance(told, dict):
        return ""
    failure = told.get("failure") or {}
    number = f"attempt {told['number']}: " if noun == "attempt" and "number" in told else ""
    reason = failure.get("detail") if isinstance(failure, dict) else ""
    words = [str(told.get("state", "")), str(reason or told.get("reason") or told.get("verdict") or "")]
    if noun in ("artifact", "validation"):
        words.insert(0, str(told.get("name") or ""))
    return (number + " · ".join(word for word in words if word))[:300]


def _evidence(machine: RemoteMachine, step: StepSnapshot) -> StepEvidence:
    told = StepEvidence()
    named = {"step_id": step.step_id}
    try:
        told.attempts = list(messages.AttemptPage.model_validate(machine.ask("attempts.list", named, _LONG)).items)
        told.result = specs.ResultSpec.model_validate(machine.ask("steps.result", named))
        if told.attempts:
            told.log = _log_tail(machine, named)
        if told.result.patch is not None:
            _read_patch(machine, told, told.result.patch)
    except errors.RopewayError as error:
        told.refusal = error.detail
    return told


def _log_tail(machine: RemoteMachine, named: dict[str, str]) -> messages.LogChunk:
    chunk = messages.LogChunk.model_validate(machine.ask("steps.log", named, query={"length": LOG_BYTES}))
    if chunk.size_bytes <= chunk.next_offset:
        return chunk
    query = {"offset": max(0, chunk.size_bytes - LOG_BYTES), "length": LOG_BYTES}
    return messages.LogChunk.model_validate(machine.ask("steps.log", named, query=query))


def _read_patch(machine: RemoteMachine, told: StepEvidence, patch: specs.ArtifactView) -> None:
    named = {"artifact_id": patch.artifact_id}
    piece = messages.Content.model_validate(machine.ask("artifacts.content", named, query={"length": PATCH_BYTES}))
    if piece.text is None:
        told.patch_note = "The patch is not text; download it."
        return
    told.diff = diffs.diff_of(piece.text)
    if piece.length < piece.size_bytes:
        told.patch_note = (
            f"These are its first {piece.length} of {piece.size_bytes} bytes; download the patch for all of it."
        )
