"""What somebody sees who follows a link to a new password: whose it is, and a form for it.

Deliberately signs nobody in: who set it does that next, as always. Making the link is `staffing.password_page`. Tests:
tests/integration/cloud/console/test_forgetting.py.
"""

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminPasswordWidget

from cloud.console import joining
from cloud.tenancy import password_links
from local_daemon.protocol import errors


class PasswordForm(forms.Form):
    """The new one."""

    password = forms.CharField(
        max_length=200,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="At least 12 characters, and none of the usual ones.",
    )


@never_cache
@require_http_methods(["GET", "POST"])
def choose_password(request: HttpRequest, secret: str) -> HttpResponse:
    """Show whose password it is; take the new one."""
    form = PasswordForm(request.POST if request.method == "POST" else None)
    person, refusal = None, ""
    try:
        person = password_links.password_link_look(secret=secret)
        if request.method == "POST" and form.is_valid():
            password_links.password_link_use(secret=secret, password=form.cleaned_data["password"])
            messages.success(request, "The new password is set: sign in with it.")
            return HttpResponseRedirect(reverse("admin:login"))
    except errors.RopewayError as error:
        refusal = " ".join([error.detail, *joining.faults(error)])
    context = {
        **admin.site.each_context(request),
        "title": "A new password",
        "person": person,
        "refusal": refusal,
        "form": form,
    }
    return TemplateResponse(request, "console/password.html", context, status=200 if person else 404)
