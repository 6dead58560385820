"""`cloudctl org|workspace|project`: make, list, show, change, suspend, resume and delete tenants.

Tests: tests/integration/cloud/cloudctl/test_tenants.py.
"""

from typing import Any

import click

from cloud.cloudctl import acting, doors, printing
from cloud.cloudctl.door import Door
from cloud.tenancy.lifecycle import TenantStatus

_STATUSES = click.Choice([status.value for status in TenantStatus])
_COLUMNS = ("slug", "name", "status", "version", "created_at", "deletion_due_at")
_zone_option = click.option("--time-zone", help="By whose clocks it lives: an IANA name, as Europe/Berlin.")
_name_option = click.option("--name", help="Another name.")
_slug_option = click.option("--slug", help="Another short form, for URLs.")
_new_slug_option = click.option("--slug", help="Its short form for URLs; made of the name unless given.")
_search_option = click.option("--search", help="Part of a name or slug.")
_status_option = click.option("--status", type=_STATUSES, help="Only those.")

_ORGANIZATION = "/organizations/{organization_id}"
_WORKSPACE = "/workspaces/{workspace_id}"
_PROJECT = "/projects/{project_id}"


@click.group()
def org() -> None:
    """Organizations: the tenants."""


@org.command(name="create")
@click.option("--name", required=True, help="What people call it.")
@_new_slug_option
@printing.output_option
def org_create(*, name: str, slug: str | None) -> None:
    """Make an organization, without members; invite its owner next."""
    doors.in_place_required()
    from cloud.cloudctl import installation

    printing.facts_print(installation.organization_create(name=name, slug=slug))


@org.command(name="list")
@printing.output_option
def org_list() -> None:
    """Every organization of this installation; by URL, the token's."""
    if doors.is_remote():
        page = doors.door(None).ask("GET", "/organizations")
    else:
        doors.installation_ready()
        from cloud.cloudctl import installation

        page = {"items": installation.organization_list(), "next_cursor": None}
    printing.page_print(page, "organization_id", *_COLUMNS, "time_zone")


@org.command(name="show")
@click.argument("organization", metavar="SLUG")
@printing.output_option
def org_show(*, organization: str) -> None:
    """One organization."""
    door = doors.door(organization)
    printing.facts_print(door.ask("GET", _ORGANIZATION, _own(door)))


@org.command(name="update")
@click.argument("organization", metavar="SLUG")
@_name_option
@_slug_option
@_zone_option
@acting.versioned
@printing.output_option
def org_update(*, organization: str, version: int | None, **changes: str | None) -> None:
    """Another name, slug or time zone."""
    door = doors.door(organization)
    body = acting.given(changes)
    printing.facts_print(door.ask("PATCH", _ORGANIZATION, _own(door), body=body, if_match=acting.matching(version)))


@org.command(name="suspend")
@click.argument("organization", metavar="SLUG")
@acting.versioned
@printing.output_option
def org_suspend(*, organization: str, version: int | None) -> None:
    """Refuse everything in it until the installation resumes it."""
    door = doors.door(organization)
    asked = door.ask("POST", "/organizations/{organization_id}/suspend", _own(door), if_match=acting.matching(version))
    printing.facts_print(asked)


@org.command(name="resume")
@click.argument("organization", metavar="SLUG")
@acting.versioned
@printing.output_option
def org_resume(*, organization: str, version: int | None) -> None:
    """Take it into use again, also while it waits to be purged."""
    doors.in_place_required()
    from cloud.cloudctl import installation

    printing.facts_print(installation.organization_resume(slug=organization, expected_version=version))


@org.command(name="delete")
@click.argument("organization", metavar="SLUG")
@acting.versioned
@printing.output_option
def org_delete(*, organization: str, version: int | None) -> None:
    """Refuse everything in it from now on, and purge it when its grace is over."""
    door = doors.door(organization)
    printing.facts_print(door.ask("DELETE", _ORGANIZATION, _own(door), if_match=acting.matching(version)))


@click.group()
def workspace() -> None:
    """Workspaces: parts of an organization, with administrators of their own."""


@workspace.command(name="create")
@acting.organization_option
@click.option("--name", required=True, help="What people call it.")
@_new_slug_option
@printing.output_option
def workspace_create(*, organization: str | None, **facts: str | None) -> None:
    """Make a workspace."""
    printing.facts_print(doors.door(organization).ask("POST", "/workspaces", body=acting.given(facts)))


@workspace.command(name="list")
@acting.organization_option
@_status_option
@_search_option
@acting.paged
@printing.output_option
def workspace_list(*, organization: str | None, limit: int, cursor: str | None, **query: str | None) -> None:
    """The organization's workspaces."""
    page = acting.page_ask(doors.door(organization), "/workspaces", limit=limit, cursor=cursor, query=query)
    printing.page_print(page, "workspace_id", *_COLUMNS)


@workspace.command(name="show")
@acting.organization_option
@click.argument("name", metavar="WORKSPACE")
@printing.output_option
def workspace_show(*, organization: str | None, name: str) -> None:
    """One workspace, by slug or id."""
    door = doors.door(organization)
    printing.facts_print(door.ask("GET", _WORKSPACE, {"workspace_id": acting.workspace_named(door, name)}))


@workspace.command(name="update")
@acting.organization_option
@click.argument("workspace_name", metavar="WORKSPACE")
@_name_option
@_slug_option
@acting.versioned
@printing.output_option
def workspace_update(
    *, organization: str | None, workspace_name: str, version: int | None, **changes: str | None
) -> None:
    """Another name or slug."""
    door = doors.door(organization)
    names = {"workspace_id": acting.workspace_named(door, workspace_name)}
    body = acting.given(changes)
    printing.facts_print(door.ask("PATCH", _WORKSPACE, names, body=body, if_match=acting.matching(version)))


@click.group()
def project() -> None:
    """Projects: what planners work in."""


@project.command(name="create")
@acting.organization_option
@click.option("--workspace", "workspace_name", required=True, help="Slug or id of its workspace.")
@click.option("--name", required=True, help="What people call it.")
@_new_slug_option
@printing.output_option
def project_create(*, organization: str | None, workspace_name: str, **facts: str | None) -> None:
    """Make a project."""
    door = doors.door(organization)
    place = {"workspace_id": acting.workspace_named(door, workspace_name)}
    printing.facts_print(door.ask("POST", "/projects", body={**place, **acting.given(facts)}))


@project.command(name="list")
@acting.organization_option
@click.option("--workspace", "workspace_name", help="Only those of this workspace.")
@_status_option
@_search_option
@acting.paged
@printing.output_option
def project_list(
    *, organization: str | None, workspace_name: str | None, limit: int, cursor: str | None, **query: str | None
) -> None:
    """The organization's projects."""
    door = doors.door(organization)
    asked = {**query, **acting.target_named(door, workspace_name, None)}
    page = acting.page_ask(door, "/projects", limit=limit, cursor=cursor, query=asked)
    printing.page_print(page, "project_id", "workspace_id", *_COLUMNS)


@project.command(name="show")
@acting.organization_option
@click.argument("name", metavar="PROJECT")
@printing.output_option
def project_show(*, organization: str | None, name: str) -> None:
    """One project, by id or WORKSPACE/PROJECT."""
    door = doors.door(organization)
    printing.facts_print(door.ask("GET", _PROJECT, {"project_id": acting.project_named(door, name)}))


@project.command(name="update")
@acting.organization_option
@click.argument("project_name", metavar="PROJECT")
@_name_option
@_slug_option
@acting.versioned
@printing.output_option
def project_update(*, organization: str | None, project_name: str, version: int | None, **changes: str | None) -> None:
    """Another name or slug."""
    door = doors.door(organization)
    names = {"project_id": acting.project_named(door, project_name)}
    body = acting.given(changes)
    printing.facts_print(door.ask("PATCH", _PROJECT, names, body=body, if_match=acting.matching(version)))


def _own(door: Door) -> dict[str, str]:
    mine: dict[str, Any] = door.ask("GET", "/me")["organization"]
    return {"organization_id": mine["organization_id"]}


def _advance_workspace(verb: str, method: str, path: str, means: str) -> None:
    @workspace.command(name=verb, help=means)
    @acting.organization_option
    @click.argument("name", metavar="WORKSPACE")
    @acting.versioned
    @printing.output_option
    def command(*, organization: str | None, name: str, version: int | None) -> None:
        door = doors.door(organization)
        names = {"workspace_id": acting.workspace_named(door, name)}
        printing.facts_print(door.ask(method, path, names, if_match=acting.matching(version)))


def _advance_project(verb: str, method: str, path: str, means: str) -> None:
    @project.command(name=verb, help=means)
    @acting.organization_option
    @click.argument("name", metavar="PROJECT")
    @acting.versioned
    @printing.output_option
    def command(*, organization: str | None, name: str, version: int | None) -> None:
        door = doors.door(organization)
        names = {"project_id": acting.project_named(door, name)}
        printing.facts_print(door.ask(method, path, names, if_match=acting.matching(version)))


_SUSPEND = "Refuse everything in it until it is resumed."
_RESUME = "Take it into use again, also while it waits to be purged."
_DELETE = "Refuse everything in it from now on, and purge it when its grace is over."
_advance_workspace("suspend", "POST", "/workspaces/{workspace_id}/suspend", _SUSPEND)
_advance_workspace("resume", "POST", "/workspaces/{workspace_id}/resume", _RESUME)
_advance_workspace("delete", "DELETE", _WORKSPACE, _DELETE)
_advance_project("suspend", "POST", "/projects/{project_id}/suspend", _SUSPEND)
_advance_project("resume", "POST", "/projects/{project_id}/resume", _RESUME)
_advance_project("delete", "DELETE", _PROJECT, _DELETE)
