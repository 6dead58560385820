"""Making a one-time enrollment code, which is told once, in the command that uses it.

Called by `admin/connectors.py`. Tests: tests/integration/cloud/console/test_claiming.py.
"""

import shlex
from datetime import timedelta
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from cloud.connectors import enrollment
from cloud.console import asking, projects
from cloud.console.asking import Question, Told
from cloud.console.tenant_admin import TenantAdmin
from local_daemon.protocol import limits
from local_daemon.protocol.scopes import Scope


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
        self.fields["project"] = projects.place_field(request)


def code_page(page: TenantAdmin, request: HttpRequest) -> HttpResponse:
    """Make a code, and tell the command that brings one machine in with it."""
    question = Question(
        title="Make an enrollment code",
        explains="One machine comes in with it, by one command that is run there.",
        button="Make the code",
    )

    def make(given: dict[str, Any]) -> Told:
        made, code = enrollment.enrollment_code_create(
            grant=projects.place_grant(request, Scope.CONNECTORS_WRITE, given["project"]),
            ttl=timedelta(minutes=given["minutes"]),
            label=given["label"],
        )
        return Told(
            secret=enroll_command(request, code),
            explains=f"On the machine, run this before {made.expires_at:%Y-%m-%d %H:%M} UTC. It works once, for one "
            "machine, and is shown this once.",
            next_url=asking.row_url(page, made),
        )

    return asking.ask(page, request, question, CodeForm(request, asking.given(request)), make)


def enroll_command(request: HttpRequest, code: str) -> str:
    """What to run on a machine: at the address under which this page was asked for."""
    cloud = request.build_absolute_uri("/").rstrip("/")
    return shlex.join(["ropeway-connector", "enroll", "--cloud", cloud, "--code", code])
