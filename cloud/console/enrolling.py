"""Making a one-time enrollment code, which is told on this page and never again.

Tests: tests/integration/cloud/console/test_claiming.py.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from cloud.connectors import enrollment
from cloud.console import projects
from local_daemon.protocol import errors, limits
from local_daemon.protocol.scopes import Scope

if TYPE_CHECKING:
    from cloud.console.tenant_admin import TenantAdmin


class CodeForm(forms.Form):
    """What the code is for, and how long it is good."""

    label = forms.CharField(
        max_length=limits.TITLE_CHARACTERS,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="What it is for.",
    )
    minutes = forms.IntegerField(
        min_value=1,
        max_value=30 * 24 * 60,
        initial=60,
        widget=UnfoldAdminIntegerFieldWidget,
        label="Minutes it is good",
    )

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        super().__init__(*args)
        self.fields["project"] = projects.project_field(request)


def code_page(page: "TenantAdmin", request: HttpRequest) -> HttpResponse:
    """Show the form, then the code."""
    form = CodeForm(request, request.POST if request.method == "POST" else None)
    code, made = None, None
    if request.method == "POST" and form.is_valid():
        try:
            grant = projects.project_grant(request, Scope.CONNECTORS_WRITE, form.cleaned_data["project"])
            made, code = enrollment.enrollment_code_create(
                grant=grant,
                ttl=timedelta(minutes=form.cleaned_data["minutes"]),
                label=form.cleaned_data["label"],
            )
        except errors.RopewayError as error:
            form.add_error(None, error.detail)
    context = {
        **page.admin_site.each_context(request),
        "title": "Make an enrollment code",
        "opts": page.model._meta,
        "form": form,
        "code": code,
        "made": made,
    }
    response = TemplateResponse(request, "console/enrollment_code.html", context)
    response["Cache-Control"] = "no-store"
    return response
