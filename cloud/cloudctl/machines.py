"""`cloudctl connector|instance|location`: machines, the daemons behind them, and which project each repository serves.

Tests: tests/integration/cloud/cloudctl/test_tenants.py.
"""

from typing import Any

import click

from cloud.cloudctl import acting, doors, printing

# As the API says them; a test holds the two together.
STATUSES = ("active", "disabled")
_ONE = "/connectors/{connector_id}"
_TRANSFER = "/connectors/{connector_id}/transfer"
_PRESENCE = "/connectors/{connector_id}/presence"
_CONNECTOR = ("connector_id", "label", "status", "is_online", "serves", "last_seen_at")
_INSTANCE = ("instance_id", "label", "connector_id", "serves", "version", "executors", "is_online", "missing_since")
_LOCATION = ("location_id", "repository", "machine", "serves", "is_shared", "is_online", "last_advertised_at")
_workspace_option = click.option("--workspace", "workspace_name", help="Slug or id of a workspace.")
_project_option = click.option("--project", "project_name", help="Id of a project, or WORKSPACE/PROJECT.")
_to_option = click.option("--project", "project_name", help="Where; without, nowhere in particular.")


@click.group()
def connector() -> None:
    """Connectors: machines of an organization."""


@connector.command(name="look")
@acting.organization_option
@click.argument("claim_code", metavar="CODE")
@_workspace_option
@_project_option
@printing.output_option
def connector_look(
    *, organization: str | None, claim_code: str, workspace_name: str | None, project_name: str | None
) -> None:
    """What the machine that shows this code says of itself, before it is claimed."""
    door = doors.door(organization)
    body = {"claim_code": claim_code, **acting.target_named(door, workspace_name, project_name)}
    printing.facts_print(door.ask("POST", "/connectors/look", body=body))


@connector.command(name="claim")
@acting.organization_option
@click.argument("claim_code", metavar="CODE")
@_workspace_option
@_project_option
@printing.output_option
def connector_claim(
    *, organization: str | None, claim_code: str, workspace_name: str | None, project_name: str | None
) -> None:
    """Take the machine that shows this code, for a project, a workspace, or the organization."""
    door = doors.door(organization)
    body = {"claim_code": claim_code, **acting.target_named(door, workspace_name, project_name)}
    printing.facts_print(door.ask("POST", "/connectors/claim", body=body))


@connector.command(name="list")
@acting.organization_option
@click.option("--status", type=click.Choice(STATUSES), help="Only those.")
@click.option("--online/--offline", "is_online", default=None, help="Only those.")
@click.option("--released", "with_released", is_flag=True, help="Those that left, too.")
@click.option("--search", help="Part of a label.")
@acting.paged
@printing.output_option
def connector_list(*, organization: str | None, limit: int, cursor: str | None, **query: Any) -> None:
    """The organization's machines."""
    door = doors.door(organization)
    page = acting.page_ask(door, "/connectors", limit=limit, cursor=cursor, query=query)
    printing.page_print(acting.page_named(door, page), *_CONNECTOR)


@connector.command(name="show")
@acting.organization_option
@click.argument("connector_id", type=click.UUID)
@printing.output_option
def connector_show(*, organization: str | None, connector_id: str) -> None:
    """One machine, its daemons and the repositories that it shares or shared."""
    told = doors.door(organization).ask("GET", _ONE, {"connector_id": str(connector_id)})
    parts = {name: told.pop(name) for name in ("instances", "locations")}
    printing.facts_print(told, parts=parts)


@connector.command(name="presence")
@acting.organization_option
@click.argument("connector_id", type=click.UUID)
@acting.paged
@printing.output_option
def connector_presence(*, organization: str | None, connector_id: str, limit: int, cursor: str | None) -> None:
    """When it came online, and went; newest first."""
    names, door = {"connector_id": str(connector_id)}, doors.door(organization)
    printing.page_print(acting.page_ask(door, _PRESENCE, names, limit=limit, cursor=cursor), "at", "is_online", "epoch")


@connector.command(name="update")
@acting.organization_option
@click.argument("connector_id", type=click.UUID)
@click.option("--label", required=True, help="What people call it.")
@acting.versioned
@printing.output_option
def connector_update(*, organization: str | None, connector_id: str, label: str, version: int | None) -> None:
    """Another label."""
    names, door = {"connector_id": str(connector_id)}, doors.door(organization)
    printing.facts_print(door.ask("PATCH", _ONE, names, body={"label": label}, if_match=acting.matching(version)))


@connector.command(name="transfer")
@acting.organization_option
@click.argument("connector_id", type=click.UUID)
@_workspace_option
@_project_option
@acting.versioned
@printing.output_option
def connector_transfer(
    *,
    organization: str | None,
    connector_id: str,
    workspace_name: str | None,
    project_name: str | None,
    version: int | None,
) -> None:
    """Have it serve another project, workspace, or the organization."""
    names, door = {"connector_id": str(connector_id)}, doors.door(organization)
    body = acting.target_named(door, workspace_name, project_name)
    printing.facts_print(door.ask("POST", _TRANSFER, names, body=body, if_match=acting.matching(version)))


def _simple(verb: str, method: str, path: str, means: str) -> None:
    @connector.command(name=verb, help=means)
    @acting.organization_option
    @click.argument("connector_id", type=click.UUID)
    @acting.versioned
    @printing.output_option
    def command(*, organization: str | None, connector_id: str, version: int | None) -> None:
        names, door = {"connector_id": str(connector_id)}, doors.door(organization)
        printing.facts_print(door.ask(method, path, names, if_match=acting.matching(version)))


_simple("disable", "POST", "/connectors/{connector_id}/disable", "Shut it out, and end its link at once.")
_simple("enable", "POST", "/connectors/{connector_id}/enable", "Let it in again.")
_simple(
    "release", "POST", "/connectors/{connector_id}/release", "Let it go for good; it may be claimed anew, by anyone."
)


@click.group()
def instance() -> None:
    """Instances: daemons behind connectors."""


@instance.command(name="list")
@acting.organization_option
@click.option("--connector", "connector_id", type=click.UUID, help="Only its.")
@acting.paged
@printing.output_option
def instance_list(*, organization: str | None, connector_id: str | None, limit: int, cursor: str | None) -> None:
    """Daemons, also those that are missing."""
    query = {"connector_id": connector_id}
    door = doors.door(organization)
    page = acting.page_ask(door, "/instances", limit=limit, cursor=cursor, query=query)
    printing.page_print(acting.page_named(door, page), *_INSTANCE)


@instance.command(name="show")
@acting.organization_option
@click.argument("instance_id", metavar="ID", type=click.UUID)
@printing.output_option
def instance_show(*, organization: str | None, instance_id: str) -> None:
    """One daemon."""
    printing.facts_print(
        doors.door(organization).ask("GET", "/instances/{instance_id}", {"instance_id": str(instance_id)})
    )


@instance.command(name="map")
@acting.organization_option
@click.argument("instance_id", metavar="ID", type=click.UUID)
@_to_option
@printing.output_option
def instance_map(*, organization: str | None, instance_id: str, project_name: str | None) -> None:
    """Have its new repositories go to a project."""
    door = doors.door(organization)
    body = {"project_id": acting.project_named(door, project_name) if project_name else None}
    printing.facts_print(
        door.ask("PUT", "/instances/{instance_id}/project", {"instance_id": str(instance_id)}, body=body)
    )


@click.group()
def location() -> None:
    """Locations: repositories, and the projects they serve."""


@location.command(name="list")
@acting.organization_option
@_project_option
@acting.paged
@printing.output_option
def location_list(*, organization: str | None, project_name: str | None, limit: int, cursor: str | None) -> None:
    """Repositories that machines share, or shared."""
    door = doors.door(organization)
    query = acting.target_named(door, None, project_name)
    page = acting.page_ask(door, "/locations", limit=limit, cursor=cursor, query=query)
    printing.page_print(acting.page_named(door, page), *_LOCATION)


@location.command(name="show")
@acting.organization_option
@click.argument("location_id", metavar="ID", type=click.UUID)
@printing.output_option
def location_show(*, organization: str | None, location_id: str) -> None:
    """One repository, and the project it serves."""
    printing.facts_print(
        doors.door(organization).ask("GET", "/locations/{location_id}", {"location_id": str(location_id)})
    )


@location.command(name="map")
@acting.organization_option
@click.argument("location_id", metavar="ID", type=click.UUID)
@_to_option
@printing.output_option
def location_map(*, organization: str | None, location_id: str, project_name: str | None) -> None:
    """Have it serve a project."""
    door = doors.door(organization)
    body = {"project_id": acting.project_named(door, project_name) if project_name else None}
    printing.facts_print(
        door.ask("PUT", "/locations/{location_id}/project", {"location_id": str(location_id)}, body=body)
    )
