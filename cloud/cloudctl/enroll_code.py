"""`cloudctl enroll-code`: one-time codes, each of which brings one machine in.

Tests: tests/integration/cloud/cloudctl/.
"""

from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID

import click

from cloud.access.principals import Principal
from cloud.cloudctl import acting, printing
from cloud.connectors import enrollment, selectors
from cloud.connectors.models import EnrollmentCode
from cloud.tenancy import selectors as tenancy
from local_daemon.protocol import errors


@click.group(name="enroll-code")
def enroll_code() -> None:
    """Let machines in."""


@enroll_code.command()
@click.option("--organization", metavar="SLUG", help="The organization; not needed with the id of a project.")
@click.option("--workspace", "workspace_name", help="For the projects of this workspace.")
@click.option("--project", "project_name", help="For this project, by id or WORKSPACE/PROJECT.")
@click.option("--label", default="", help="What the code is for.")
@click.option(
    "--minutes", default=60, show_default=True, type=click.IntRange(1, 30 * 24 * 60), help="How long it is good."
)
@printing.output_option
def create(
    *, organization: str | None, workspace_name: str | None, project_name: str | None, label: str, minutes: int
) -> None:
    """Print a code; give it to `ropeway-connector enroll` on the machine."""
    service = enrollment.enrollment_code_create
    with _in_organization(organization, project_name) as principal:
        grant = acting.granted(principal, service, **acting.target_named(workspace_name, project_name))
        row, code = service(grant=grant, ttl=timedelta(minutes=minutes), label=label)
    printing.facts_print({"id": row.id, "code": code, "expires_at": row.expires_at})


@enroll_code.command(name="list")
@acting.organization_option
@click.option("--open", "open_only", is_flag=True, help="Those that a machine may still use only.")
@acting.paged
@printing.output_option
def list_codes(*, organization: str, open_only: bool, limit: int, after: UUID | None) -> None:
    """Codes, without their text."""
    service = selectors.enrollment_code_page
    with acting.acting_in(organization) as principal:
        page = service(grant=acting.granted(principal, service), open_only=open_only, limit=limit, after=after)
        rows = [_facts(row) for row in page.items]
    printing.rows_print(rows, next_after=page.next_after)


@enroll_code.command()
@acting.organization_option
@click.argument("code_id", type=click.UUID)
@printing.output_option
def revoke(*, organization: str, code_id: UUID) -> None:
    """End a code that no machine has used."""
    service = enrollment.enrollment_code_revoke
    with acting.acting_in(organization) as principal:
        facts = _facts(service(grant=acting.granted(principal, service), code_id=code_id))
    printing.facts_print(facts)


def _in_organization(slug: str | None, project_name: str | None) -> AbstractContextManager[Principal]:
    """The organization named, or the one whose project's id is."""
    if slug is not None:
        return acting.acting_in(slug)
    try:
        project_id = UUID(project_name or "")
    except ValueError:
        raise errors.InvalidRequest("Name the organization, or the project by its id.") from None
    organization_id = tenancy.organization_of_project(project_id)
    found = [row for row in tenancy.organizations() if row.id == organization_id]
    if not found:
        raise errors.NotFound(f"There is no project {project_id}.")
    return acting.acting_in(found[0].slug)


def _facts(row: EnrollmentCode) -> dict[str, Any]:
    names = ("id", "label", "workspace_id", "project_id", "created_by", "expires_at", "used_at", "revoked_at")
    return printing.row_facts(row, *names, "connector_id")
