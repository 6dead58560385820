"""Machines on pages: renamed, shut out, let in, moved and let go; their daemons and repositories mapped to projects.

Called by `admin/connectors.py`. Claiming is `claiming.py`, enrollment codes are made in `enrolling.py`. Tests:
tests/integration/cloud/console/test_acts.py.
"""

from collections.abc import Callable
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from unfold.widgets import UnfoldAdminTextInputWidget

from cloud.access import authorization
from cloud.access.principals import Grant
from cloud.connectors import claims, enrollment, mapping, services
from cloud.connectors.models import Connector, EnrollmentCode, Instance, Location
from cloud.console import asking, projects
from cloud.console.asking import Done, Question
from cloud.console.projects import Place
from cloud.console.tenant_admin import TenantAdmin
from local_daemon.protocol import limits
from local_daemon.protocol.scopes import Scope


class RenameForm(asking.ChangeForm):
    """What it shall be called."""

    label = forms.CharField(max_length=limits.TITLE_CHARACTERS, widget=UnfoldAdminTextInputWidget)


class PlaceForm(asking.ChangeForm):
    """What it shall serve."""

    def __init__(self, request: HttpRequest, row: Connector, *args: Any, **facts: Any) -> None:
        super().__init__(*args, **facts)
        # An operator sees every organization's: a machine moves within its own.
        self.fields["project"] = projects.place_field(request, organization_id=row.organization_id)


class ProjectForm(asking.ChangeForm):
    """Which project it shall serve; `empty` is what none is called."""

    def __init__(self, request: HttpRequest, *args: Any, empty: str | None = None, **facts: Any) -> None:
        super().__init__(*args, **facts)
        self.fields["project"] = projects.project_field(request, empty=empty)


def rename_page(page: TenantAdmin, request: HttpRequest, row: Connector) -> HttpResponse:
    """Call it something else."""
    question = Question(title=f"Rename {row.label}", explains="Only its name changes.", button="Rename")

    def rename(given: dict[str, Any]) -> Done:
        made = services.connector_rename(
            grant=_grant(page, request, row),
            connector_id=row.id,
            label=given["label"],
            expected_version=given["version"] or 0,
        )
        return Done(message=f"It is called {made.label} now.", next_url=asking.row_url(page, row))

    form = RenameForm(asking.given(request), initial={"label": row.label, "version": row.version})
    return asking.ask(page, request, question, form, rename)


def status_page(page: TenantAdmin, request: HttpRequest, row: Connector) -> HttpResponse:
    """Shut it out, or let it in again: the other of what it is."""
    is_in = row.status == "active"
    verb, service = ("Disable", services.connector_disable) if is_in else ("Enable", services.connector_enable)
    question = Question(
        title=f"{verb} {row.label}",
        explains="Its link ends now and is refused until it is enabled again. Work that runs there goes on there."
        if is_in
        else "It may connect again.",
        button=verb,
        facts=_facts(row),
        is_grave=is_in,
    )

    def switch(given: dict[str, Any]) -> Done:
        service(grant=_grant(page, request, row), connector_id=row.id, expected_version=given["version"] or 0)
        said = "is shut out" if is_in else "may connect again"
        return Done(message=f"{row.label} {said}.", next_url=asking.row_url(page, row))

    return asking.ask(page, request, question, _version_form(request, row), switch)


def release_page(page: TenantAdmin, request: HttpRequest, row: Connector) -> HttpResponse:
    """Let it go."""
    question = Question(
        title=f"Unclaim {row.label}",
        explains="It leaves the organization: its link ends, and nothing of it is served any more. What it did "
        "stays on record. To come back, or to go elsewhere, it must be claimed anew.",
        button="Unclaim it",
        facts=_facts(row),
        is_grave=True,
    )

    def release(given: dict[str, Any]) -> Done:
        claims.connector_release(
            grant=_grant(page, request, row), connector_id=row.id, expected_version=given["version"] or 0
        )
        return Done(message=f"{row.label} left the organization.", next_url=asking.list_url(page))

    return asking.ask(page, request, question, _version_form(request, row), release)


def transfer_page(page: TenantAdmin, request: HttpRequest, row: Connector) -> HttpResponse:
    """Have it serve another project, or something wider."""
    question = Question(
        title=f"Move {row.label}",
        explains="Its repositories that served its project serve the chosen one from now on; those that are beyond "
        "what is chosen serve none. What ran before stays on record where it ran.",
        button="Move it",
        facts=_facts(row),
    )

    def transfer(given: dict[str, Any]) -> Done:
        grant = _grant(page, request, row)
        place: Place = given["project"]
        target = authorization.authorize(
            grant.principal, Scope.CONNECTORS_WRITE, workspace_id=place.workspace_id, project_id=place.project_id
        )
        claims.connector_transfer(
            grant=grant, connector_id=row.id, target=target, expected_version=given["version"] or 0
        )
        return Done(message=f"{row.label} serves {place} now.", next_url=asking.row_url(page, row))

    form = PlaceForm(request, row, asking.given(request), initial={"version": row.version})
    return asking.ask(page, request, question, form, transfer)


def instance_page(page: TenantAdmin, request: HttpRequest, row: Instance, *, now: str | None) -> HttpResponse:
    """Where a daemon's new repositories go; `now`, by name."""
    question = Question(
        title=f"Map {row}",
        explains="Repositories that it shares and that serve no project yet, and those to come, go to the chosen one.",
        button="Map it",
        facts={"machine": row.connector.label, "now": now or "where its machine was claimed for"},
    )
    form = ProjectForm(
        request, asking.given(request), empty="where its machine was claimed for", initial={"project": row.project_id}
    )
    return asking.ask(page, request, question, form, _mapped(page, request, row, mapping.instance_map, "instance_id"))


def location_page(page: TenantAdmin, request: HttpRequest, row: Location, *, now: str | None) -> HttpResponse:
    """Which project a repository serves; `now`, by name."""
    question = Question(
        title=f"Map {row}",
        explains="Planners of the chosen project can then work in this repository, and of no other.",
        button="Map it",
        facts={"machine": row.instance.connector.label, "now": now or "none"},
    )
    form = ProjectForm(request, asking.given(request), empty="no project", initial={"project": row.project_id})
    return asking.ask(page, request, question, form, _mapped(page, request, row, mapping.location_map, "location_id"))


def _mapped(
    page: TenantAdmin, request: HttpRequest, row: Instance | Location, service: Callable[..., Any], name: str
) -> Callable[[dict[str, Any]], Done]:
    def act(given: dict[str, Any]) -> Done:
        project = given["project"]
        service(**{"grant": _grant(page, request, row), name: row.id, "project_id": project.id if project else None})
        return Done(message=f"{row} is mapped.", next_url=asking.row_url(page, row))

    return act


def code_page(page: TenantAdmin, request: HttpRequest, row: EnrollmentCode) -> HttpResponse:
    """End an enrollment code."""
    question = Question(
        title=f"Revoke {row}",
        explains="No machine can use this code any more.",
        button="Revoke it",
        facts={"made by": row.created_by, "expires": row.expires_at},
        is_grave=True,
    )

    def revoke(_given: dict[str, Any]) -> Done:
        enrollment.enrollment_code_revoke(grant=_grant(page, request, row), code_id=row.id)
        return Done(message="The code is revoked.", next_url=asking.list_url(page))

    return asking.ask(page, request, question, asking.ChangeForm(asking.given(request)), revoke)


def _grant(page: TenantAdmin, request: HttpRequest, row: Any) -> Grant:
    return page.grant(request, Scope.CONNECTORS_WRITE, row)


def _version_form(request: HttpRequest, row: Connector) -> forms.Form:
    return asking.ChangeForm(asking.given(request), initial={"version": row.version})


def _facts(row: Connector) -> dict[str, Any]:
    return {"online": "yes" if row.link_owner else "no", "status": row.status, "last seen": row.last_seen_at or "never"}
