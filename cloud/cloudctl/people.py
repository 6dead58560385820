"""`cloudctl member|invitation`: who is what in an organization, and who was invited to be.

Tests: tests/integration/cloud/cloudctl/test_tenants.py.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from cloud.cloudctl import acting, doors, printing
from cloud.cloudctl.door import Door
from cloud.permissions.roles import Role

F = TypeVar("F", bound=Callable[..., Any])

_ROLES = click.Choice([role.value for role in Role])
_POST = ("role", "workspace_id", "project_ids")
_MEMBER = "/memberships/{membership_id}"
_days_option = click.option("--days", type=click.IntRange(1), help="How long; a week without.")


def _post_options(command: F) -> F:
    """A role and where it holds."""
    role = click.option("--role", required=True, type=_ROLES, help="What they shall be.")
    place = click.option("--workspace", "workspace_name", help="In this workspace only.")
    places = click.option("--project", "project_names", multiple=True, help="In this project only; repeat for more.")
    return role(place(places(command)))


def _post(door: Door, role: str, workspace_name: str | None, project_names: tuple[str, ...]) -> dict[str, Any]:
    place = acting.target_named(door, workspace_name, None)
    projects = [acting.project_named(door, name) for name in project_names]
    return {"role": role, **place, **({"project_ids": projects} if projects else {})}


@click.group()
def member() -> None:
    """Members: people with a role."""


@member.command(name="add")
@acting.organization_option
@click.option("--email", required=True, help="Their address; without an account one is made, and its password told.")
@_post_options
@printing.output_option
def member_add(
    *, organization: str | None, email: str, role: str, workspace_name: str | None, project_names: tuple[str, ...]
) -> None:
    """Put a person in without asking them; `invitation create` asks."""
    doors.in_place_required()
    from cloud.cloudctl import installation

    post = _post(doors.door(organization), role, workspace_name, project_names)
    facts = installation.member_add(
        organization=organization,
        email=email,
        role=Role(role),
        workspace_id=post.get("workspace_id"),
        project_ids=post.get("project_ids"),
    )
    printing.facts_print(facts)


@member.command(name="list")
@acting.organization_option
@click.option("--role", type=_ROLES, help="Only those.")
@click.option("--search", help="Part of a name or address.")
@click.option("--removed", is_flag=True, help="Those who were, too.")
@acting.paged
@printing.output_option
def member_list(
    *, organization: str | None, removed: bool, limit: int, cursor: str | None, **query: str | None
) -> None:
    """The organization's people."""
    asked = {**query, **({"status": "any"} if removed else {})}
    page = acting.page_ask(doors.door(organization), "/memberships", limit=limit, cursor=cursor, query=asked)
    printing.page_print(page, "membership_id", "email", *_POST, "status", "version")


@member.command(name="show")
@acting.organization_option
@click.argument("member_id", type=click.UUID)
@printing.output_option
def member_show(*, organization: str | None, member_id: str) -> None:
    """One member."""
    printing.facts_print(doors.door(organization).ask("GET", _MEMBER, {"membership_id": str(member_id)}))


@member.command(name="update")
@acting.organization_option
@click.argument("member_id", type=click.UUID)
@_post_options
@acting.versioned
@printing.output_option
def member_update(
    *,
    organization: str | None,
    member_id: str,
    role: str,
    workspace_name: str | None,
    project_names: tuple[str, ...],
    version: int | None,
) -> None:
    """Another role, or another reach."""
    door = doors.door(organization)
    post, names = _post(door, role, workspace_name, project_names), {"membership_id": str(member_id)}
    printing.facts_print(door.ask("PUT", _MEMBER, names, body=post, if_match=acting.matching(version)))


@member.command(name="remove")
@acting.organization_option
@click.argument("member_id", type=click.UUID)
@acting.versioned
@printing.output_option
def member_remove(*, organization: str | None, member_id: str, version: int | None) -> None:
    """End a membership, and the tokens it holds."""
    names, door = {"membership_id": str(member_id)}, doors.door(organization)
    printing.facts_print(door.ask("DELETE", _MEMBER, names, if_match=acting.matching(version)))


@click.group()
def invitation() -> None:
    """Invitations: links by which people become members."""


@invitation.command(name="create")
@acting.organization_option
@click.option("--email", required=True, help="The address that may accept.")
@_post_options
@_days_option
@printing.output_option
def invitation_create(
    *,
    organization: str | None,
    role: str,
    workspace_name: str | None,
    project_names: tuple[str, ...],
    **more: Any,
) -> None:
    """Invite somebody; the secret of the link is told this once."""
    door = doors.door(organization)
    body = {**_post(door, role, workspace_name, project_names), **acting.given(more)}
    printing.facts_print(door.ask("POST", "/invitations", body=body))


@invitation.command(name="list")
@acting.organization_option
@click.option("--open", "open_only", is_flag=True, help="Those that wait only.")
@acting.paged
@printing.output_option
def invitation_list(*, organization: str | None, open_only: bool, limit: int, cursor: str | None) -> None:
    """Who was invited."""
    query = {"open_only": open_only}
    page = acting.page_ask(doors.door(organization), "/invitations", limit=limit, cursor=cursor, query=query)
    printing.page_print(page, "invitation_id", "email", *_POST, "invited_by", "expires_at", "accepted_at", "revoked_at")


@invitation.command(name="show")
@acting.organization_option
@click.argument("invitation_id", type=click.UUID)
@printing.output_option
def invitation_show(*, organization: str | None, invitation_id: str) -> None:
    """One invitation, without its secret."""
    printing.facts_print(
        doors.door(organization).ask("GET", "/invitations/{invitation_id}", {"invitation_id": str(invitation_id)})
    )


@invitation.command(name="resend")
@acting.organization_option
@click.argument("invitation_id", type=click.UUID)
@_days_option
@printing.output_option
def invitation_resend(*, organization: str | None, invitation_id: str, days: int | None) -> None:
    """A new link; the old one is dead."""
    names, door = {"invitation_id": str(invitation_id)}, doors.door(organization)
    printing.facts_print(
        door.ask("POST", "/invitations/{invitation_id}/resend", names, body=acting.given({"days": days}))
    )


@invitation.command(name="revoke")
@acting.organization_option
@click.argument("invitation_id", type=click.UUID)
@printing.output_option
def invitation_revoke(*, organization: str | None, invitation_id: str) -> None:
    """End it."""
    door = doors.door(organization)
    printing.facts_print(door.ask("POST", "/invitations/{invitation_id}/revoke", {"invitation_id": str(invitation_id)}))
