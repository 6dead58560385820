"""A page that asks before it acts: what it will do, a form, a button; then done, or a secret that is told this once.

Every change in the admin goes this way: the form is checked, a service acts in the viewer's name, and what it refuses
stands beside the form. Used by `admin/`. Tests: tests/integration/cloud/console/test_acts.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse

from cloud.console import viewer
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

if TYPE_CHECKING:
    from cloud.console.tenant_admin import TenantAdmin


class ChangeForm(forms.Form):
    """A change of something that somebody else may change meanwhile: it carries the version that was shown."""

    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput, required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows to look at, under their heads."""

    head: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a page asks. `facts` and a `table` are shown beside it; `is_grave` colours the button, and without one there
    is nothing to ask: the page only shows. `preview` is a second button, which changes nothing."""

    title: str
    explains: str
    button: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    table: Table | None = None
    preview: str = ""
    is_grave: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """It is done: what to say, and where to go on."""

    message: str
    next_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """It is done, and made something that is told this once."""

    secret: str
    explains: str
    next_url: str


def ask(
    page: "TenantAdmin",
    request: HttpRequest,
    question: Question,
    form: forms.Form,
    act: Callable[[dict[str, Any]], Done | Told | Table],
) -> HttpResponse:
    """Show the question, then act on its answer; what a service refuses is answered with the refusal's own status.

    What `act` answers as a Table is shown beside the form, which is asked again."""
    told: Told | None = None
    shown = question.table
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            outcome = act(form.cleaned_data)
        except errors.PreconditionFailed as error:
            status = error.row.http
            form.add_error(None, "Somebody changed this while you looked at it. Go back, look again, and then decide.")
        except errors.InvalidRequest as error:
            # A form that is wrong is no refusal: it is answered as Django answers one.
            _tell(form, error)
        except errors.RopewayError as error:
            status = error.row.http
            _tell(form, error)
        else:
            if isinstance(outcome, Table):
                shown = outcome
            elif isinstance(outcome, Done):
                messages.success(request, outcome.message)
                return HttpResponseRedirect(outcome.next_url)
            else:
                told = outcome
    context = {
        **page.admin_site.each_context(request),
        "title": question.title,
        "opts": page.model._meta,
        "question": question,
        "form": form,
        "told": told,
        "table": shown,
    }
    response = TemplateResponse(request, "console/ask.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


def given(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: what was posted, also when that is nothing."""
    return request.POST if request.method == "POST" else None


def list_url(page: "TenantAdmin") -> str:
    """Where the page's rows are listed."""
    return reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_changelist")


def row_url(page: "TenantAdmin", row: Any) -> str:
    """Where one of them is shown."""
    return reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_change", args=[row.pk])


def organizations_may(request: HttpRequest, scope: Scope) -> bool:
    """Whether the viewer is somebody in one organization and may do this there: what is made anew needs an owner."""
    principal = viewer.principal_of(request)
    return principal is not None and scope in principal.scopes


def _tell(form: forms.Form, error: errors.RopewayError) -> None:
    """Beside the fields that are wrong, as far as the error names fields of the form; the rest above it."""
    named = error.attributes.get("errors")
    found = [one for one in named if isinstance(one, dict)] if isinstance(named, list) else []
    untold: list[str] = []
    for one in found:
        name, said = str(one.get("field", "")), str(one.get("message") or one.get("problem") or "")
        if name in form.fields:
            form.add_error(name, said)
        else:
            untold.append(f"{name}: {said}" if name else said)
    if untold or not form.errors:
        form.add_error(None, " ".join([error.detail, *untold]).strip())
