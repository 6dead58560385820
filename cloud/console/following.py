"""A run and a step as they go: what the cloud last heard, and beside a step what only its machine has.

The pages mark what changes; the browser asks for them again when the feed says that something moved (`live.py`). What a
step at work says raises no event: the browser asks for it by itself, and is held back until there is more. A machine
that is away leaves its parts out and the rest stands. Called by `admin/runs.py`. Tests:
tests/integration/cloud/relay/test_following.py.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse

from cloud.console import evidence, remote
from cloud.runs.models import GateSnapshot, RunEvent, RunSnapshot, StepSnapshot
from local_daemon.protocol import errors, states
from local_daemon.protocol.scopes import Scope

if TYPE_CHECKING:
    from cloud.console.tenant_admin import TenantAdmin

STEPS_MAX = 500
EVENTS_MAX = 100
_AT_WORK = frozenset({states.StepState.PREPARING, states.StepState.RUNNING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event, as a line."""

    event: RunEvent
    what: str


def run_page(page: "TenantAdmin", request: HttpRequest, run: RunSnapshot) -> HttpResponse:
    """One run: its steps, its gates, and what happened."""
    # Read first: what happens while the page is made is told again.
    after = last_event_id(run)
    steps = list(_of_run(StepSnapshot, run).order_by("step_id")[:STEPS_MAX])
    gates = _gates(run, steps)
    events = list(RunEvent.objects.filter(location_id=run.location_id, run_id=run.run_id).order_by("-id")[:EVENTS_MAX])
    may_read_steps = page.may(request, Scope.STEPS_READ)
    context = {
        **page.admin_site.each_context(request),
        "title": str(run),
        "opts": page.model._meta,
        "original": run,
        "run": run,
        "steps": [
            (step, gates.get(str(step.view.get("gate_id") or "")), may_read_steps and step.state in _AT_WORK)
            for step in steps
        ],
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
        "original": step,
        "step": step,
        "run": run,
        "gate": _gates(step, [step]).get(str(step.view.get("gate_id") or "")),
        "evidence": evidence.evidence_of(remote.machine_of(request, step), remote.principal_for(request, step), step),
        "says": step.state in _AT_WORK,
        "after": after,
    }
    return TemplateResponse(request, "console/step.html", context)


def tail(request: HttpRequest, step: StepSnapshot) -> HttpResponse:
    """What a step says, after what the page has of it: asked for by the page as long as there is more to come."""
    machine = remote.machine_of(request, step)
    given, attempt_id = request.GET.get("offset", "0"), request.GET.get("attempt", "")
    try:
        if not (given.isascii() and given.isdecimal() and len(given) < 19):
            raise errors.InvalidRequest("offset: a number")
        chunk = evidence.tail_of(machine, step.step_id, attempt_id=attempt_id, offset=int(given))
    except errors.RopewayError as error:
        return JsonResponse({"detail": error.detail, "retryable": error.row.retryable}, status=error.row.http)
    return JsonResponse(chunk.model_dump(mode="json"))


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
