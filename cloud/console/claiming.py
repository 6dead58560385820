"""Claiming a machine, in two steps: its code finds it and the page spells out what a claim exposes; then one confirms.

Deliberately two steps: a code is typed by hand, and whoever claims lends a machine to planners. What is confirmed is
what the page spelled out: with another code or place than it was made for, it is spelled out anew.
Tests: tests/integration/cloud/console/test_claiming.py.
"""

from itertools import groupby
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminTextInputWidget

from cloud.connectors import enrollment
from cloud.console import asking, projects
from local_daemon.protocol import errors, operations
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.scopes import Scope

if TYPE_CHECKING:
    from cloud.console.tenant_admin import TenantAdmin


class ClaimForm(forms.Form):
    """The code that a machine shows, and what it shall serve."""

    claim_code = forms.CharField(max_length=20, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "XXXX-XXXX"}))

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        super().__init__(*args)
        self.fields["project"] = projects.place_field(request)


def claim_page(page: "TenantAdmin", request: HttpRequest) -> HttpResponse:
    """Show the form, then the machine and what a claim exposes, then claim it."""
    form = ClaimForm(request, request.POST if request.method == "POST" else None)
    waiting = None
    if request.method == "POST" and form.is_valid():
        code, place = form.cleaned_data["claim_code"], form.cleaned_data["project"]
        try:
            grant = projects.place_grant(request, Scope.CONNECTORS_WRITE, place)
            waiting = enrollment.pending_find(grant=grant, claim_code=code)
            if request.POST.get("confirm") == _asked(form):
                connector = enrollment.connector_claim(grant=grant, claim_code=code)
                messages.success(request, f"{connector.label} now serves {place.name}.")
                return HttpResponseRedirect(reverse("admin:connectors_connector_change", args=[connector.id]))
        except errors.RopewayError as error:
            form.add_error("claim_code", error.detail)
    context = {
        **page.admin_site.each_context(request),
        "title": "Claim a machine",
        "opts": page.model._meta,
        "form": form,
        "waiting": waiting,
        "asked": _asked(form),
        "exposed": exposed_operations(),
        "has_projects": projects.projects_reached(request).exists(),
        "may_make_project": asking.organizations_may(request, Scope.PROJECTS_WRITE),
    }
    return TemplateResponse(request, "console/claim.html", context)


def _asked(form: ClaimForm) -> str:
    """Which machine is to serve what, as it was typed and chosen."""
    return f"{form['claim_code'].value()} {form['project'].value()}"


def exposed_operations() -> list[tuple[str, list[Operation]]]:
    """What planners can ask of a claimed machine, from the table itself: noun by noun."""
    reachable = sorted(operations.REMOTE_OPERATIONS.values(), key=lambda row: row.name)
    return [(noun, list(rows)) for noun, rows in groupby(reachable, key=lambda row: row.name.partition(".")[0])]
