"""What a person is shown instead of the page they asked for, in the admin's own look: what it means, and what to do.

What is not there and what is somebody else's read word for word the same, whatever was asked. Who is signed in keeps
the sidebar; when something broke, or before anybody is known, the page asks the database nothing, for that may be what
broke. Programs are answered in their own form, elsewhere. Named by `cloud.config.urls` and the settings. Tests:
tests/integration/cloud/console/test_error_pages.py.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorry:
    """A page's words: what happened, and what can be done, sentence by sentence."""

    title: str
    says: str
    advice: tuple[str, ...]


_FORBIDDEN = Sorry(
    title="Not for your role",
    says="Your role in this organization does not allow this. Nothing was changed.",
    advice=(
        "Where you are a member of another organization, your role there may: choose it on the dashboard.",
        "Otherwise ask an owner or administrator of the organization for another role, or to do it for you.",
    ),
)
_NOT_FOUND = Sorry(
    title="Nothing here",
    says="There is nothing at this address, or nothing that you may see.",
    advice=(
        "A link may be old: what it led to may have been removed since.",
        "It may belong to another organization of yours: choose that one on the dashboard, and follow the link again.",
        "What you know the id or the name of, the lists' search finds.",
    ),
)
_NOWHERE = Sorry(
    title="Nothing here",
    says="There is nothing at this address, or nothing for who is not signed in.",
    advice=("A link may be old, or not whole: try it anew from where you have it.", "Sign in, and follow it again."),
)
_STALE_FORM = Sorry(
    title="This form is no longer good",
    says="It was opened before you signed in or out, perhaps in another tab, or this browser keeps no cookies. "
    "Nothing was changed.",
    advice=("Go back, load the page anew, and send the form again.",),
)
_MALFORMED = Sorry(
    title="This could not be read",
    says="The request is malformed, or came by a name that this installation does not go by. Nothing was changed.",
    advice=(
        "Open the address that you were given, as it was given.",
        "Whoever runs this installation finds the reason in the server's log.",
    ),
)


def malformed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: it is not taken at all."""
    return _drawn(_nobody(), _MALFORMED, status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403: somebody may not."""
    return _drawn(request if _is_known(request) else _nobody(), _FORBIDDEN, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: there is nothing, for them."""
    if _is_known(request):
        return _drawn(request, _NOT_FOUND, status=404)
    return _drawn(_nobody(), _NOWHERE, status=404)


def form_stale(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403: a form without the token that proves where it comes from."""
    return _drawn(_nobody(), _STALE_FORM, status=403)


def broken(request: HttpRequest) -> HttpResponse:
    """500: our own fault."""
    sorry = Sorry(
        title="Something broke here",
        says="The fault is on this side, and stands in the server's log. Whether anything was changed, the page that "
        "you came from shows when it is loaded anew.",
        advice=(
            "Try again in a minute.",
            f"If it stays, tell whoever runs this installation what you did, and the time: "
            f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC.",
        ),
    )
    return _drawn(_nobody(), sorry, status=500)


def _is_known(request: HttpRequest) -> bool:
    """Whether somebody with pages here looks; refused before anybody was known, a request has no user."""
    return hasattr(request, "user") and admin.site.has_permission(request)


def _drawn(request: HttpRequest, sorry: Sorry, *, status: int) -> HttpResponse:
    layout = "admin/base_site.html" if _is_known(request) else "unfold/layouts/unauthenticated.html"
    context = {**admin.site.each_context(request), "title": sorry.title, "sorry": sorry, "layout": layout}
    response = TemplateResponse(request, "console/sorry.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response.render()


def _nobody() -> HttpRequest:
    """A request of nobody's, for what is shown without asking who looks."""
    request = HttpRequest()
    request.user = AnonymousUser()
    request.META["SCRIPT_NAME"] = ""
    return request
