"""`cloudctl org|workspace|project`: make, list, show, change, suspend, resume and delete tenants.

Tests: tests/integration/cloud/cloudctl/test_tenants.py.
"""

from collections.abc import Callable
from typing import Any

import click

from cloud.cloudctl import acting, printing
from cloud.tenancy import organizations, projects, selectors, workspaces
from cloud.tenancy.lifecycle import TenantStatus
from cloud.tenancy.models import Unit

Service = Callable[..., Unit]

_STATUSES = click.Choice([status.value for status in TenantStatus])
_FACTS = ("id", "slug", "name", "status", "version", "created_at", "deletion_due_at")
_name_option = click.option("--name", help="Another name.")
_slug_option = click.option("--slug", help="Another short form, for URLs.")
_new_slug_option = click.option("--slug", help="Its short form for URLs; made of the name unless given.")


@click.group(name="org")
def org() -> None:
    """Organizations: the tenants."""


@org.command(name="create")
@click.option("--name", required=True, help="What people call it.")
@_new_slug_option
@printing.output_option
def org_create(*, name: str, slug: str | None) -> None:
    """Make an organization, without members; invite its owner next."""
    _show(organizations.organization_create(name=name, slug=slug))


@org.command(name="list")
@printing.output_option
def org_list() -> None:
    """Every organization of this installation."""
    printing.rows_print([printing.row_facts(row, *_FACTS) for row in selectors.organizations()])


@org.command(name="show")
@click.argument("organization", metavar="SLUG")
@printing.output_option
def org_show(*, organization: str) -> None:
    """One organization."""
    with acting.acting_in(organization) as principal:
        _show(selectors.organization_get(grant=acting.granted(principal, selectors.organization_get)))


@org.command(name="update")
@click.argument("organization", metavar="SLUG")
@_name_option
@_slug_option
@acting.version_option
@printing.output_option
def org_update(*, organization: str, name: str | None, slug: str | None, expected_version: int | None) -> None:
    """Another name or slug."""
    service = organizations.organization_update
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, service)
        _show(service(grant=grant, name=name, slug=slug, expected_version=expected_version))


@click.group(name="workspace")
def workspace() -> None:
    """Workspaces: parts of an organization, with administrators of their own."""


@workspace.command(name="create")
@acting.organization_option
@click.option("--name", required=True, help="What people call it.")
@_new_slug_option
@printing.output_option
def workspace_create(*, organization: str, name: str, slug: str | None) -> None:
    """Make a workspace."""
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, workspaces.workspace_create)
        _show(workspaces.workspace_create(grant=grant, name=name, slug=slug))


@workspace.command(name="list")
@acting.organization_option
@click.option("--status", type=_STATUSES, help="Only those.")
@click.option("--search", default="", help="Part of a name or slug.")
@acting.paged
@printing.output_option
def workspace_list(*, organization: str, status: str | None, search: str, limit: int, after: Any) -> None:
    """The organization's workspaces."""
    with acting.acting_in(organization) as principal:
        page = selectors.workspace_page(
            grant=acting.granted(principal, selectors.workspace_page),
            status=TenantStatus(status) if status else None,
            search=search,
            limit=limit,
            after=after,
        )
    printing.rows_print([printing.row_facts(row, *_FACTS) for row in page.items], next_after=page.next_after)


@workspace.command(name="show")
@acting.organization_option
@click.argument("name", metavar="WORKSPACE")
@printing.output_option
def workspace_show(*, organization: str, name: str) -> None:
    """One workspace, by slug or id."""
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, selectors.workspace_get)
        _show(selectors.workspace_get(grant=grant, workspace_id=acting.workspace_named(name)))


@workspace.command(name="update")
@acting.organization_option
@click.argument("workspace_name", metavar="WORKSPACE")
@_name_option
@_slug_option
@acting.version_option
@printing.output_option
def workspace_update(
    *, organization: str, workspace_name: str, name: str | None, slug: str | None, expected_version: int | None
) -> None:
    """Another name or slug."""
    service = workspaces.workspace_update
    with acting.acting_in(organization) as principal:
        grant, found = acting.granted(principal, service), acting.workspace_named(workspace_name)
        _show(service(grant=grant, workspace_id=found, name=name, slug=slug, expected_version=expected_version))


@click.group(name="project")
def project() -> None:
    """Projects: what planners work in."""


@project.command(name="create")
@acting.organization_option
@click.option("--workspace", "workspace_name", required=True, help="Slug or id of its workspace.")
@click.option("--name", required=True, help="What people call it.")
@_new_slug_option
@printing.output_option
def project_create(*, organization: str, workspace_name: str, name: str, slug: str | None) -> None:
    """Make a project."""
    service = projects.project_create
    with acting.acting_in(organization) as principal:
        grant, place = acting.granted(principal, service), acting.workspace_named(workspace_name)
        _show(service(grant=grant, workspace_id=place, name=name, slug=slug))


@project.command(name="list")
@acting.organization_option
@click.option("--workspace", "workspace_name", help="Only those of this workspace.")
@click.option("--status", type=_STATUSES, help="Only those.")
@click.option("--search", default="", help="Part of a name or slug.")
@acting.paged
@printing.output_option
def project_list(
    *, organization: str, workspace_name: str | None, status: str | None, search: str, limit: int, after: Any
) -> None:
    """The organization's projects."""
    with acting.acting_in(organization) as principal:
        page = selectors.project_page(
            grant=acting.granted(principal, selectors.project_page),
            workspace_id=acting.target_named(workspace_name, None)["workspace_id"],
            status=TenantStatus(status) if status else None,
            search=search,
            limit=limit,
            after=after,
        )
    rows = [printing.row_facts(row, "id", "workspace.slug", *_FACTS[1:]) for row in page.items]
    printing.rows_print(rows, next_after=page.next_after)


@project.command(name="show")
@acting.organization_option
@click.argument("name", metavar="PROJECT")
@printing.output_option
def project_show(*, organization: str, name: str) -> None:
    """One project, by id or WORKSPACE/PROJECT."""
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, selectors.project_get)
        _show(selectors.project_get(grant=grant, project_id=acting.project_named(name)))


@project.command(name="update")
@acting.organization_option
@click.argument("project_name", metavar="PROJECT")
@_name_option
@_slug_option
@acting.version_option
@printing.output_option
def project_update(
    *, organization: str, project_name: str, name: str | None, slug: str | None, expected_version: int | None
) -> None:
    """Another name or slug."""
    service = projects.project_update
    with acting.acting_in(organization) as principal:
        grant, found = acting.granted(principal, service), acting.project_named(project_name)
        _show(service(grant=grant, project_id=found, name=name, slug=slug, expected_version=expected_version))


def _show(unit: Unit) -> None:
    printing.facts_print(printing.row_facts(unit, *_FACTS))


def _advance_org(service: Service, verb: str) -> None:
    @org.command(name=verb, help=service.__doc__)
    @click.argument("organization", metavar="SLUG")
    @acting.version_option
    @printing.output_option
    def command(*, organization: str, expected_version: int | None) -> None:
        with acting.acting_in(organization) as principal:
            _show(service(grant=acting.granted(principal, service), expected_version=expected_version))


def _advance_part(group: click.Group, service: Service, verb: str, find: Callable[[str], Any], key: str) -> None:
    @group.command(name=verb, help=service.__doc__)
    @acting.organization_option
    @click.argument("name", metavar=(group.name or "").upper())
    @acting.version_option
    @printing.output_option
    def command(*, organization: str, name: str, expected_version: int | None) -> None:
        with acting.acting_in(organization) as principal:
            grant = acting.granted(principal, service)
            _show(service(grant=grant, expected_version=expected_version, **{key: find(name)}))


for _verb in ("suspend", "resume", "delete"):
    _advance_org(getattr(organizations, f"organization_{_verb}"), _verb)
    _advance_part(workspace, getattr(workspaces, f"workspace_{_verb}"), _verb, acting.workspace_named, "workspace_id")
    _advance_part(project, getattr(projects, f"project_{_verb}"), _verb, acting.project_named, "project_id")
