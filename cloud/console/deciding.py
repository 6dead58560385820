"""Deciding a gate: the page shows what an approval binds, as the machine has it now, and sends the digest shown.

A decision is an ordinary call through the one funnel, in the person's name: authorized, recorded and audited there.
Where the machine is away nothing can be shown, so nothing can be approved. Tests:
tests/integration/cloud/relay/test_deciding.py.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminTextareaWidget

from cloud.console import diffs, remote
from cloud.console.remote import RemoteMachine
from cloud.runs.models import GateSnapshot, StepSnapshot
from local_daemon.protocol import errors, limits, specs, wire
from local_daemon.protocol import messages as wire_messages
from local_daemon.protocol.states import GateDecision, GateKind, GateState
from relay import contents

if TYPE_CHECKING:
    from cloud.console.tenant_admin import TenantAdmin

_SHOWN_BYTES = 256 * limits.KIB


class DecideForm(forms.Form):
    """A decision about exactly what was shown."""

    digest = forms.RegexField(r"^[0-9a-f]{64}$", widget=forms.HiddenInput)
    comment = forms.CharField(max_length=2000, required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))


class AnswerForm(DecideForm):
    """An answer to an executor's question."""

    answer = forms.CharField(max_length=4000, required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A gate as the machine has it now, and what approving it would let pass. `diff`: the content, where it is one."""

    gate: wire_messages.GateView
    content: str
    is_whole: bool
    diff: diffs.Diff | None = None


def decide_page(page: "TenantAdmin", request: HttpRequest, object_id: str) -> HttpResponse:
    """Show the gate and what it binds; take the decision."""
    snapshot: GateSnapshot = page.get_object(request, object_id)
    machine = remote.machine_of(request, snapshot)
    shown: Shown | None = None
    form = None
    try:
        shown = _shown(machine, snapshot)
        form = _form(shown.gate, request)
        if request.method == "POST" and form.is_valid():
            _decide(machine, shown, form, request.POST.get("decision", ""))
            messages.success(request, "The gate is decided, and the work goes on from there.")
            return HttpResponseRedirect(reverse("admin:runs_gatesnapshot_change", args=[snapshot.pk]))
    except errors.GateDecided:
        shown = _decided_meanwhile(request, machine, snapshot)
    except errors.RopewayError as error:
        messages.error(request, error.detail)
        # What is shown now is what can be decided on: the digest that was sent must not be sent again.
        form = _form_again(shown.gate, request) if shown is not None else None
    context = {
        **page.admin_site.each_context(request),
        "title": "Decide a gate",
        "opts": page.model._meta,
        "snapshot": snapshot,
        "step": StepSnapshot.objects.filter(location_id=snapshot.location_id, step_id=snapshot.step_id).first(),
        "shown": shown,
        "form": form,
        "is_question": snapshot.kind == GateKind.QUESTION,
        "is_open": shown is not None and shown.gate.state is GateState.OPEN,
    }
    return TemplateResponse(request, "console/decide.html", context)


def _decided_meanwhile(request: HttpRequest, machine: RemoteMachine, snapshot: GateSnapshot) -> Shown | None:
    """Somebody else was quicker: show what they decided, and that it was they."""
    try:
        gate = wire_messages.GateView.model_validate(machine.ask("gates.get", {"gate_id": snapshot.gate_id}))
    except errors.RopewayError as error:
        messages.error(request, error.detail)
        return None
    messages.error(request, f"Yours came too late: {gate.decided_by or 'somebody'} decided it, as shown here.")
    return Shown(gate=gate, content="", is_whole=False)


def _form(gate: wire_messages.GateView, request: HttpRequest) -> DecideForm:
    kind = AnswerForm if gate.kind is GateKind.QUESTION else DecideForm
    return kind(request.POST if request.method == "POST" else None, initial={"digest": gate.digest})


def _form_again(gate: wire_messages.GateView, request: HttpRequest) -> DecideForm:
    kind = AnswerForm if gate.kind is GateKind.QUESTION else DecideForm
    kept = {name: request.POST.get(name, "") for name in ("comment", "answer")}
    return kind(initial={"digest": gate.digest, **kept})


def _shown(machine: RemoteMachine, snapshot: GateSnapshot) -> Shown:
    gate = wire_messages.GateView.model_validate(machine.ask("gates.get", {"gate_id": snapshot.gate_id}))
    if gate.kind is GateKind.QUESTION:
        return Shown(gate=gate, content=gate.question or "", is_whole=True)
    step = {"step_id": gate.step_id}
    if gate.kind is GateKind.BEFORE:
        task = machine.ask("steps.task", step)
        return Shown(gate=gate, content=json.dumps(task["task"], indent=2, ensure_ascii=False), is_whole=True)
    result = specs.ResultSpec.model_validate(machine.ask("steps.result", step))
    if result.patch is None:
        return Shown(gate=gate, content="Nothing was changed.", is_whole=True)
    return _patch(machine, gate, result.patch)


def _patch(machine: RemoteMachine, gate: wire_messages.GateView, patch: specs.ArtifactView) -> Shown:
    answer = machine.ask("artifacts.content", {"artifact_id": patch.artifact_id}, query={"length": _SHOWN_BYTES})
    piece, raw = wire_messages.Content.model_validate(answer), contents.content_bytes(answer)
    is_whole = len(raw) == piece.size_bytes
    if is_whole and wire.sha256_hex(raw) != gate.digest:
        raise errors.StaleApproval("The patch is not the one that this gate binds; look again.")
    content = diffs.text_of(raw)
    diff = diffs.diff_of(content)
    return Shown(gate=gate, content=content, is_whole=is_whole and diff.is_whole, diff=diff)


def _decide(machine: RemoteMachine, shown: Shown, form: DecideForm, wanted: str) -> None:
    given = form.cleaned_data
    try:
        decision = GateDecision(wanted)
    except ValueError:
        raise errors.InvalidRequest("Choose what to decide.") from None
    if decision is GateDecision.APPROVE and not (shown.is_whole and given["digest"] == shown.gate.digest):
        raise errors.StaleApproval("What you saw is not what the gate binds now; look again before approving.")
    body: dict[str, Any] = {"decision": decision.value, "comment": given["comment"]}
    if decision is GateDecision.APPROVE:
        body["digest"] = given["digest"]
    if decision is GateDecision.ANSWER:
        body["answer"] = given.get("answer", "")
    machine.ask("gates.decide", {"gate_id": shown.gate.gate_id}, body=body)
