"""`cloudctl enroll-code create`: a one-time code that brings one machine into a project.

Tests: tests/integration/cloud/cloudctl/test_commands.py.
"""

from datetime import timedelta
from uuid import UUID

import click

from cloud.access import authorization
from cloud.access.principals import system_principal
from cloud.cloudctl import printing
from cloud.connectors import enrollment
from cloud.tenancy import scope, selectors
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


@click.group(name="enroll-code")
def enroll_code() -> None:
    """Let machines in."""


@enroll_code.command()
@click.option("--project", required=True, type=click.UUID, help="Id of the project that the machine shall serve.")
@click.option("--label", default="", help="What the code is for.")
@click.option(
    "--minutes", default=60, show_default=True, type=click.IntRange(1, 30 * 24 * 60), help="How long it is good."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def create(*, project: UUID, label: str, minutes: int, as_json: bool) -> None:
    """Print a code; give it to `ropeway-connector enroll` on the machine."""
    organization_id = selectors.organization_of_project(project)
    if organization_id is None:
        raise click.ClickException(f"There is no project {project}.")
    try:
        with scope.organization(organization_id):
            principal = system_principal(organization_id, label="cloudctl")
            grant = authorization.authorize(principal, Scope.CONNECTORS_WRITE, project_id=project)
            row, code = enrollment.enrollment_code_create(grant=grant, ttl=timedelta(minutes=minutes), label=label)
    except errors.RopewayError as error:
        raise click.ClickException(error.detail) from error
    printing.facts_print({"code": code, "expires_at": row.expires_at.isoformat(timespec="seconds")}, as_json=as_json)
