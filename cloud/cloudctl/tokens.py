"""`cloudctl token`: mint, list, show, rotate, adopt and revoke.

Tests: tests/integration/cloud/cloudctl/test_tenants.py.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from cloud.cloudctl import acting, doors, printing
from cloud.cloudctl.door import Door
from local_daemon.protocol.scopes import Scope

# As the API says them; a test holds the two together.
KINDS = ("planner", "service", "personal")
STATES = ("active", "expired", "revoked", "orphaned")
_SCOPES = click.Choice([scope.value for scope in Scope])
_COLUMNS = ("token_id", "name", "kind", "prefix", "state", "membership_id", "created_at", "expires_at", "last_used_at")


@click.group()
def token() -> None:
    """Tokens: what planners, programs and people present."""


@token.command(name="create")
@acting.organization_option
@click.option("--member", "email", help="Address of the member whose token it is: in place, and needed there.")
@click.option("--name", required=True, help="What it is for.")
@click.option("--kind", default="planner", show_default=True, type=click.Choice(KINDS), help="Who presents it.")
@click.option("--scope", "scopes", multiple=True, type=_SCOPES, help="What it may do; all its holder may, without.")
@click.option("--project", "project_names", multiple=True, help="Where; everywhere its holder reaches, without.")
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is good; without, until it is revoked.")
@printing.output_option
def token_create(
    *,
    organization: str | None,
    email: str | None,
    name: str,
    kind: str,
    scopes: tuple[str, ...],
    project_names: tuple[str, ...],
    days: int | None,
) -> None:
    """Mint a token; its secret is told this once."""
    door, most = _holder(doors.door(organization), email, kind)
    body: dict[str, Any] = {"name": name, "kind": kind, "scopes": list(scopes) or most}
    if project_names:
        body["project_ids"] = [acting.project_named(door, project) for project in project_names]
    if days is not None:
        body["expires_at"] = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    printing.facts_print(door.ask("POST", "/tokens", body=body))


@token.command(name="list")
@acting.organization_option
@click.option("--kind", type=click.Choice(KINDS), help="Only those.")
@click.option("--state", type=click.Choice(STATES), help="Only those.")
@click.option("--search", help="Part of a name, or how the secret begins.")
@acting.paged
@printing.output_option
def token_list(*, organization: str | None, limit: int, cursor: str | None, **query: str | None) -> None:
    """The organization's tokens."""
    page = acting.page_ask(doors.door(organization), "/tokens", limit=limit, cursor=cursor, query=query)
    printing.page_print(page, *_COLUMNS)


@token.command(name="show")
@acting.organization_option
@click.argument("token_id", type=click.UUID)
@printing.output_option
def token_show(*, organization: str | None, token_id: str) -> None:
    """One token, without its secret."""
    printing.facts_print(doors.door(organization).ask("GET", "/tokens/{token_id}", {"token_id": str(token_id)}))


@token.command(name="rotate")
@acting.organization_option
@click.argument("token_id", type=click.UUID)
@click.option(
    "--overlap-hours", default=24, show_default=True, type=click.IntRange(0, 7 * 24), help="How long both are good."
)
@printing.output_option
def token_rotate(*, organization: str | None, token_id: str, overlap_hours: int) -> None:
    """A token that takes its place; its secret is told this once."""
    names, body = {"token_id": str(token_id)}, {"overlap_s": overlap_hours * 3600}
    printing.facts_print(doors.door(organization).ask("POST", "/tokens/{token_id}/rotate", names, body=body))


@token.command(name="adopt")
@acting.organization_option
@click.argument("token_id", type=click.UUID)
@click.option("--member", "email", help="Address of the member who takes it: in place, and needed there.")
@printing.output_option
def token_adopt(*, organization: str | None, token_id: str, email: str | None) -> None:
    """Make somebody the holder of a service's token, so that it goes on when its holder leaves."""
    door, _ = _holder(doors.door(organization), email, "service")
    printing.facts_print(door.ask("POST", "/tokens/{token_id}/adopt", {"token_id": str(token_id)}))


@token.command(name="revoke")
@acting.organization_option
@click.argument("token_id", type=click.UUID)
@printing.output_option
def token_revoke(*, organization: str | None, token_id: str) -> None:
    """End it for good, with all that it minted."""
    names = {"token_id": str(token_id)}
    printing.facts_print(doors.door(organization).ask("POST", "/tokens/{token_id}/revoke", names))


def _holder(door: Door, email: str | None, kind: str) -> tuple[Door, list[str]]:
    """Whose door a token is minted through, and the most that it can do."""
    if doors.is_remote():
        if email is not None:
            raise click.UsageError("--member is for whoever has the database; by URL it is the token's own holder.")
        return door, list(door.ask("GET", "/me")["scopes"])
    if email is None:
        raise click.UsageError("Say whose it is with --member.")
    from cloud.cloudctl import in_place, installation

    assert isinstance(door, in_place.InPlaceDoor)
    return installation.door_of_member(door, email, is_planner=kind == "planner")
