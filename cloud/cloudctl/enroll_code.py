"""`cloudctl enroll-code`: one-time codes, each of which brings one machine in.

Tests: tests/integration/cloud/cloudctl/.
"""

from uuid import UUID

import click

from cloud.cloudctl import acting, doors, printing
from cloud.cloudctl.door import Door

_COLUMNS = ("label", "workspace_id", "project_id", "created_by", "expires_at", "used_at", "revoked_at", "connector_id")


@click.group(name="enroll-code")
def enroll_code() -> None:
    """Let machines in."""


@enroll_code.command()
@acting.organization_option
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
    door = _door(organization, project_name)
    target = acting.target_named(door, workspace_name, project_name)
    body = {**target, "label": label, "minutes": minutes}
    printing.facts_print(door.ask("POST", "/enrollment-codes", body=body))


@enroll_code.command(name="list")
@acting.organization_option
@click.option("--open", "open_only", is_flag=True, help="Those that a machine may still use only.")
@acting.paged
@printing.output_option
def list_codes(*, organization: str | None, open_only: bool, limit: int, cursor: str | None) -> None:
    """Codes, without their text."""
    query = {"open_only": open_only}
    page = acting.page_ask(doors.door(organization), "/enrollment-codes", limit=limit, cursor=cursor, query=query)
    printing.page_print(page, "enrollment_code_id", *_COLUMNS)


@enroll_code.command(name="show")
@acting.organization_option
@click.argument("code_id", type=click.UUID)
@printing.output_option
def show_code(*, organization: str | None, code_id: str) -> None:
    """One code, without its text."""
    printing.facts_print(
        doors.door(organization).ask(
            "GET", "/enrollment-codes/{enrollment_code_id}", {"enrollment_code_id": str(code_id)}
        )
    )


@enroll_code.command()
@acting.organization_option
@click.argument("code_id", type=click.UUID)
@printing.output_option
def revoke(*, organization: str | None, code_id: str) -> None:
    """End a code that no machine has used."""
    names, door = {"enrollment_code_id": str(code_id)}, doors.door(organization)
    printing.facts_print(door.ask("POST", "/enrollment-codes/{enrollment_code_id}/revoke", names))


def _door(organization: str | None, project_name: str | None) -> Door:
    """In place, the id of a project says whose it is."""
    if organization is None and project_name is not None and not doors.is_remote():
        try:
            project_id = str(UUID(project_name))
        except ValueError:
            return doors.door(None)
        doors.installation_ready()
        from cloud.cloudctl import installation

        return doors.door(installation.organization_of(project_id))
    return doors.door(organization)
