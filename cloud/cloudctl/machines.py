"""`cloudctl connector|instance|location`: machines, the daemons behind them, and which project each repository serves.

Tests: tests/integration/cloud/cloudctl/.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import click

from cloud.cloudctl import acting, printing
from cloud.connectors import claims, enrollment, mapping, presence, selectors, services
from cloud.connectors.models import Connector, Instance, Location
from cloud.tenancy.models import Status

_workspace_option = click.option("--workspace", "workspace_name", help="Slug or id of a workspace.")
_project_option = click.option("--project", "project_name", help="Id of a project, or WORKSPACE/PROJECT.")
_to_option = click.option("--project", "project_name", help="Where; without, nowhere in particular.")


@click.group()
def connector() -> None:
    """Connectors: machines of an organization."""


@connector.command(name="claim")
@acting.organization_option
@click.argument("claim_code", metavar="CODE")
@_workspace_option
@_project_option
@printing.output_option
def connector_claim(
    *, organization: str, claim_code: str, workspace_name: str | None, project_name: str | None
) -> None:
    """Take the machine that shows this code, for a project, a workspace, or the organization."""
    service = enrollment.connector_claim
    with acting.acting_in(organization) as principal:
        target = acting.target_named(workspace_name, project_name)
        row = service(grant=acting.granted(principal, service, **target), claim_code=claim_code)
        facts = _connector_facts(row)
    printing.facts_print(facts)


@connector.command(name="list")
@acting.organization_option
@click.option("--status", type=click.Choice([status.value for status in Status]), help="Only those.")
@click.option("--online/--offline", "is_online", default=None, help="Only those.")
@click.option("--released", "with_released", is_flag=True, help="Those that left, too.")
@click.option("--search", default="", help="Part of a label.")
@acting.paged
@printing.output_option
def connector_list(
    *,
    organization: str,
    status: str | None,
    is_online: bool | None,
    with_released: bool,
    search: str,
    limit: int,
    after: UUID | None,
) -> None:
    """The organization's machines."""
    with acting.acting_in(organization) as principal:
        page = selectors.connector_page(
            grant=acting.granted(principal, selectors.connector_page),
            status=Status(status) if status else None,
            is_online=is_online,
            with_released=with_released,
            search=search,
            limit=limit,
            after=after,
        )
        rows = [_connector_facts(row) for row in page.items]
    printing.rows_print(rows, next_after=page.next_after)


@connector.command(name="show")
@acting.organization_option
@click.argument("connector_id", type=click.UUID)
@printing.output_option
def connector_show(*, organization: str, connector_id: UUID) -> None:
    """One machine."""
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, selectors.connector_get)
        facts = _connector_facts(selectors.connector_get(grant=grant, connector_id=connector_id))
    printing.facts_print(facts)


@connector.command(name="presence")
@acting.organization_option
@click.argument("connector_id", type=click.UUID)
@click.option("--before", type=int, help="Those before this one: the page that follows.")
@acting.limit_option
@printing.output_option
def connector_presence(*, organization: str, connector_id: UUID, before: int | None, limit: int) -> None:
    """When it came online, and went."""
    service = presence.presence_page
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, service)
        rows = service(grant=grant, connector_id=connector_id, limit=limit, before=before)
    printing.rows_print([printing.row_facts(row, "id", "at", "is_online", "epoch") for row in rows])


@connector.command(name="update")
@acting.organization_option
@click.argument("connector_id", type=click.UUID)
@click.option("--label", required=True, help="What people call it.")
@acting.version_option
@printing.output_option
def connector_update(*, organization: str, connector_id: UUID, label: str, expected_version: int | None) -> None:
    """Another label."""
    service = services.connector_rename
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, service)
        row = service(grant=grant, connector_id=connector_id, label=label, expected_version=expected_version)
        facts = _connector_facts(row)
    printing.facts_print(facts)


@connector.command(name="transfer")
@acting.organization_option
@click.argument("connector_id", type=click.UUID)
@_workspace_option
@_project_option
@printing.output_option
def connector_transfer(
    *, organization: str, connector_id: UUID, workspace_name: str | None, project_name: str | None
) -> None:
    """Have it serve another project, workspace, or the organization."""
    service = claims.connector_transfer
    with acting.acting_in(organization) as principal:
        target = acting.granted(principal, service, **acting.target_named(workspace_name, project_name))
        row = service(grant=acting.granted(principal, service), connector_id=connector_id, target=target)
        facts = _connector_facts(row)
    printing.facts_print(facts)


def _simple(service: Callable[..., Connector], verb: str) -> None:
    @connector.command(name=verb, help=service.__doc__)
    @acting.organization_option
    @click.argument("connector_id", type=click.UUID)
    @printing.output_option
    def command(*, organization: str, connector_id: UUID) -> None:
        with acting.acting_in(organization) as principal:
            facts = _connector_facts(service(grant=acting.granted(principal, service), connector_id=connector_id))
        printing.facts_print(facts)


_simple(services.connector_disable, "disable")
_simple(services.connector_enable, "enable")
_simple(claims.connector_release, "release")


@click.group()
def instance() -> None:
    """Instances: daemons behind connectors."""


@instance.command(name="list")
@acting.organization_option
@click.option("--connector", "connector_id", type=click.UUID, help="Only its.")
@acting.paged
@printing.output_option
def instance_list(*, organization: str, connector_id: UUID | None, limit: int, after: UUID | None) -> None:
    """Daemons, also those that are missing."""
    service = selectors.instance_page
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, service)
        page = service(grant=grant, connector_id=connector_id, limit=limit, after=after)
        rows = [_instance_facts(row) for row in page.items]
    printing.rows_print(rows, next_after=page.next_after)


@instance.command(name="map")
@acting.organization_option
@click.argument("instance_id", metavar="ID", type=click.UUID)
@_to_option
@printing.output_option
def instance_map(*, organization: str, instance_id: UUID, project_name: str | None) -> None:
    """Have its new repositories go to a project."""
    service = mapping.instance_map
    with acting.acting_in(organization) as principal:
        found, grant = acting.target_named(None, project_name), acting.granted(principal, service)
        facts = _instance_facts(service(grant=grant, instance_id=instance_id, project_id=found["project_id"]))
    printing.facts_print(facts)


@click.group()
def location() -> None:
    """Locations: repositories, and the projects they serve."""


@location.command(name="list")
@acting.organization_option
@_project_option
@acting.paged
@printing.output_option
def location_list(*, organization: str, project_name: str | None, limit: int, after: UUID | None) -> None:
    """Repositories that machines share, or shared."""
    service = selectors.location_page
    with acting.acting_in(organization) as principal:
        grant, found = acting.granted(principal, service), acting.target_named(None, project_name)
        page = service(grant=grant, project_id=found["project_id"], limit=limit, after=after)
        rows = [_location_facts(row) for row in page.items]
    printing.rows_print(rows, next_after=page.next_after)


@location.command(name="map")
@acting.organization_option
@click.argument("location_id", metavar="ID", type=click.UUID)
@_to_option
@printing.output_option
def location_map(*, organization: str, location_id: UUID, project_name: str | None) -> None:
    """Have it serve a project."""
    service = mapping.location_map
    with acting.acting_in(organization) as principal:
        found, grant = acting.target_named(None, project_name), acting.granted(principal, service)
        facts = _location_facts(service(grant=grant, location_id=location_id, project_id=found["project_id"]))
    printing.facts_print(facts)


def _connector_facts(row: Connector) -> dict[str, Any]:
    claim = next(iter(row.claims.all()), None)
    facts = printing.row_facts(row, "id", "label", "status", "version", "last_seen_at", "released_at")
    serves = claim.project_id or claim.workspace_id or "organization" if claim else None
    return {**facts, "is_online": bool(row.link_owner), "serves": serves}


def _instance_facts(row: Instance) -> dict[str, Any]:
    names = ("id", "instance_id", "label", "connector.label", "project_id", "version", "executors")
    return printing.row_facts(row, *names, "last_advertised_at", "missing_since")


def _location_facts(row: Location) -> dict[str, Any]:
    names = ("id", "repository_label", "repository_id", "project_id", "instance.connector.label", "is_shared")
    return printing.row_facts(row, *names, "last_advertised_at")
