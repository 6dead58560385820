"""What somebody sees who follows an invitation's link: who invites them to what, and how to accept.

Deliberately outside the admin's door: they may be nobody yet. Runs with no tenant scope open; the middleware leaves
this page alone. Tests: tests/integration/cloud/console/test_acts.py.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from cloud.accounts.models import User
from cloud.console import middleware
from cloud.tenancy import invitations
from local_daemon.protocol import errors, limits


class AccountForm(forms.Form):
    """The account of somebody who has none."""

    full_name = forms.CharField(max_length=limits.TITLE_CHARACTERS, widget=UnfoldAdminTextInputWidget)
    password = forms.CharField(
        max_length=200,
        widget=UnfoldAdminPasswordWidget,
        help_text="At least 12 characters, and none of the usual ones.",
    )


@never_cache
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest, secret: str) -> HttpResponse:
    """Show the invitation; accept it."""
    person = request.user if isinstance(request.user, User) else None
    form = AccountForm(request.POST if request.method == "POST" else None) if person is None else None
    invitation, refusal = None, ""
    try:
        invitation = invitations.invitation_look(secret=secret)
        if request.method == "POST" and (person is not None or (form is not None and form.is_valid())):
            return _accepted(request, secret, person, form)
    except errors.RopewayError as error:
        refusal = " ".join([error.detail, *faults(error)])
    context = {
        **admin.site.each_context(request),
        "title": "You are invited",
        "invitation": invitation,
        "refusal": refusal,
        "form": form,
        "person": person,
        "is_invited": person is not None and invitation is not None and person.email.lower() == invitation.email,
        "sign_in": f"{reverse('admin:login')}?next={request.path}",
    }
    return TemplateResponse(request, "console/join.html", context, status=200 if invitation else 404)


def _accepted(request: HttpRequest, secret: str, person: User | None, form: AccountForm | None) -> HttpResponse:
    if person is None:
        assert form is not None
        given = form.cleaned_data
        member = invitations.invitation_accept_new(
            secret=secret, full_name=given["full_name"], password=given["password"]
        )
        login(request, member.user)
    else:
        member = invitations.invitation_accept(secret=secret, user=person)
    request.session[middleware.SESSION_KEY] = str(member.organization_id)
    messages.success(request, "Welcome. You are a member now.")
    return HttpResponseRedirect(reverse("admin:index"))


def faults(error: errors.RopewayError) -> list[str]:
    """What was wrong with what was sent, sentence by sentence."""
    named: Any = error.attributes.get("errors") or []
    return [str(one.get("message", "")) for one in named]
