"""Deciding a gate: the page shows what an approval binds, as the machine has it now, and sends the digest shown.

A decision is an ordinary call through the one funnel, in the person's name: authorized, recorded and audited there.
Where the machine is away nothing can be shown, so nothing can be approved. Tests:
tests/integration/cloud/relay/test_deciding.py.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminTextareaWidget

from cloud.access.principals import Principal
from cloud.console import viewer
from cloud.dispatch.services import dispatch_operation_sync
from cloud.runs.models import GateSnapshot
from local_daemon.protocol import errors, limits, specs, wire
from local_daemon.protocol import messages as wire_messages
from local_daemon.protocol.states import GateDecision, GateKind, GateState

if TYPE_CHECKING:
    from cloud.console.tenant_admin import TenantAdmin

_SHOWN_BYTES = 256 * limits.KIB
_DEADLINE_S = 15.0


class DecideForm(forms.Form):
    """A decision about exactly what was shown."""

    digest = forms.RegexField(r"^[0-9a-f]{64}$", widget=forms.HiddenInput)
    comment = forms.CharField(max_length=2000, required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))


class AnswerForm(DecideForm):
    """An answer to an executor's question."""

    answer = forms.CharField(max_length=4000, required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A gate as the machine has it now, and what approving it would let pass."""

    gate: wire_messages.GateView
    content: str
    is_whole: bool


class _Machine:
    """The machine behind a gate, asked in the viewer's name."""

    def __init__(self, principal: Principal, snapshot: GateSnapshot, client_address: str | None) -> None:
        self._principal = principal
        self._snapshot = snapshot
        self._client_address = client_address

    def ask(
        self,
        operation: str,
        parameters: Mapping[str, str],
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """One operation's answer. Raises every error of the table."""
        answered = dispatch_operation_sync(
            principal=self._principal,
            operation_name=operation,
            project_id=str(self._snapshot.project_id),
            parameters=parameters,
            query=query or {},
            body=body,
            location=str(self._snapshot.location_id),
            deadline_s=_DEADLINE_S,
            client_address=self._client_address,
        )
        return answered.answer.body


def decide_page(page: "TenantAdmin", request: HttpRequest, object_id: str) -> HttpResponse:
    """Show the gate and what it binds; take the decision."""
    snapshot = page.get_queryset(request).filter(pk=object_id).first()
    if snapshot is None:
        raise Http404
    principal = viewer.principal_of(request, organization_id=snapshot.organization_id)
    if principal is None:
        raise Http404
    machine = _Machine(principal, snapshot, request.META.get("REMOTE_ADDR"))
    shown: Shown | None = None
    form = None
    try:
        shown = _shown(machine, snapshot)
        form = _form(shown.gate, request)
        if request.method == "POST" and form.is_valid():
            _decide(machine, shown, form, request.POST.get("decision", ""))
            messages.success(request, "The gate is decided, and the work goes on from there.")
            return HttpResponseRedirect(reverse("admin:runs_gatesnapshot_change", args=[snapshot.pk]))
    except errors.RopewayError as error:
        messages.error(request, error.detail)
    context = {
        **page.admin_site.each_context(request),
        "title": "Decide a gate",
        "opts": page.model._meta,
        "snapshot": snapshot,
        "shown": shown,
        "form": form,
        "is_question": snapshot.kind == GateKind.QUESTION,
        "is_open": shown is not None and shown.gate.state is GateState.OPEN,
    }
    return TemplateResponse(request, "console/decide.html", context)


def _form(gate: wire_messages.GateView, request: HttpRequest) -> DecideForm:
    kind = AnswerForm if gate.kind is GateKind.QUESTION else DecideForm
    return kind(request.POST or None, initial={"digest": gate.digest})


def _shown(machine: _Machine, snapshot: GateSnapshot) -> Shown:
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


def _patch(machine: _Machine, gate: wire_messages.GateView, patch: specs.ArtifactView) -> Shown:
    piece = wire_messages.Content.model_validate(
        machine.ask("artifacts.content", {"artifact_id": patch.artifact_id}, query={"length": _SHOWN_BYTES})
    )
    content = piece.text if piece.text is not None else "The patch is not text; read it with the planner's tools."
    is_whole = piece.length == piece.size_bytes
    if is_whole and piece.text is not None and wire.sha256_hex(piece.text.encode()) != gate.digest:
        raise errors.StaleApproval("The patch is not the one that this gate binds; look again.")
    return Shown(gate=gate, content=content, is_whole=is_whole)


def _decide(machine: _Machine, shown: Shown, form: DecideForm, wanted: str) -> None:
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
