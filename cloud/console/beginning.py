"""What a new organization does first, one thing after the other, each with the page on which it is done.

Shown on the dashboard until there is a run. Called by `dashboard`. Tests:
tests/integration/cloud/console/test_dashboard.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

from cloud.access.models import Token
from cloud.connectors.models import Connector
from cloud.console import asking, projects, viewer
from local_daemon.protocol.scopes import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStep:
    """One thing to do; `url` is empty for who may not do it."""

    title: str
    explains: str
    url: str
    is_done: bool


def first_steps(request: HttpRequest) -> Sequence[FirstStep]:
    """In their order; none for an operator, who is somebody in no one organization, and for who may do none of them."""
    principal = viewer.principal_of(request)
    if principal is None:
        return ()
    may_read_tokens = Scope.TOKENS_READ in principal.scopes
    steps = (
        FirstStep(
            title="Make a project",
            explains="what planners work in, and machines are claimed for",
            url=_url(request, "tenancy_project_make", Scope.PROJECTS_WRITE),
            is_done=projects.projects_reached(request).exists(),
        ),
        FirstStep(
            title="Claim a machine",
            explains="by the code that ropeway-connector enroll shows there; or make an enrollment code for it",
            url=_url(request, "connectors_connector_claim", Scope.CONNECTORS_WRITE),
            is_done=Scope.CONNECTORS_READ in principal.scopes and _has_any(request, Connector),
        ),
        FirstStep(
            title="Mint a token",
            explains="with which your planner signs in; it is shown once",
            url=_url(request, "access_token_mint", Scope.TOKENS_WRITE),
            is_done=may_read_tokens and _has_any(request, Token),
        ),
        FirstStep(
            title="Start a run",
            explains="from your planner, or here: schedule one, and run it now",
            url=_url(request, "schedules_runschedule_make", Scope.RUNS_WRITE, Scope.STEPS_WRITE),
            is_done=False,
        ),
    )
    return steps if any(step.url for step in steps) else ()


def _url(request: HttpRequest, page: str, *scopes: Scope) -> str:
    return reverse(f"admin:{page}") if all(asking.organizations_may(request, scope) for scope in scopes) else ""


def _has_any(request: HttpRequest, model: type[Token] | type[Connector]) -> bool:
    """Of what the model's own page shows the viewer."""
    rows = admin.site._registry[model].get_queryset(request)
    return bool((rows.filter(released_at=None) if model is Connector else rows).exists())
