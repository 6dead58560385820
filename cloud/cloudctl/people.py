"""`cloudctl member|invitation`: who is what in an organization, and who was invited to be.

Tests: tests/integration/cloud/cloudctl/.
"""

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import click
from django.db import transaction

from cloud.accounts import services as accounts
from cloud.accounts.models import User
from cloud.cloudctl import acting, printing
from cloud.permissions.roles import Role
from cloud.tenancy import invitations, memberships, selectors
from cloud.tenancy.models import Invitation, Membership
from cloud.tenancy.posts import Post

F = TypeVar("F", bound=Callable[..., Any])

_ROLES = click.Choice([role.value for role in Role])
_DAYS = click.IntRange(1, invitations.TTL_MAX.days)
_days_option = click.option("--days", default=invitations.TTL.days, show_default=True, type=_DAYS, help="How long.")


def _post_options(command: F) -> F:
    """A role and where it holds."""
    role = click.option("--role", required=True, type=_ROLES, help="What they shall be.")
    place = click.option("--workspace", "workspace_name", help="In this workspace only.")
    places = click.option("--project", "project_names", multiple=True, help="In this project only; repeat for more.")
    return role(place(places(command)))


def _post(role: str, workspace_name: str | None, project_names: tuple[str, ...]) -> Post:
    return Post(
        role=Role(role),
        workspace_id=acting.workspace_named(workspace_name) if workspace_name else None,
        project_ids=[acting.project_named(name) for name in project_names] or None,
    )


@click.group()
def member() -> None:
    """Members: people with a role."""


@member.command(name="add")
@acting.organization_option
@click.option("--email", required=True, help="Their address; without an account one is made, and its password told.")
@_post_options
@printing.output_option
def member_add(
    *, organization: str, email: str, role: str, workspace_name: str | None, project_names: tuple[str, ...]
) -> None:
    """Put a person in without asking them; `invitation create` asks."""
    service = memberships.membership_create
    with acting.acting_in(organization) as principal, transaction.atomic():
        post = _post(role, workspace_name, project_names)
        user, password = _user(email)
        row = service(grant=acting.granted(principal, service), user_id=user.id, post=post)
        row.user = user
    printing.facts_print({**_member_facts(row), "password": password})


@member.command(name="list")
@acting.organization_option
@click.option("--role", type=_ROLES, help="Only those.")
@click.option("--search", default="", help="Part of a name or address.")
@click.option("--removed", is_flag=True, help="Those who were, too.")
@acting.paged
@printing.output_option
def member_list(
    *, organization: str, role: str | None, search: str, removed: bool, limit: int, after: UUID | None
) -> None:
    """The organization's people."""
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, selectors.membership_page)
        statuses: dict[str, Any] = {"status": None} if removed else {}
        page = selectors.membership_page(
            grant=grant, role=Role(role) if role else None, search=search, limit=limit, after=after, **statuses
        )
    printing.rows_print([_member_facts(row) for row in page.items], next_after=page.next_after)


@member.command(name="show")
@acting.organization_option
@click.argument("member_id", type=click.UUID)
@printing.output_option
def member_show(*, organization: str, member_id: UUID) -> None:
    """One member."""
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, selectors.membership_get)
        row = selectors.membership_get(grant=grant, membership_id=member_id)
    printing.facts_print(_member_facts(row))


@member.command(name="update")
@acting.organization_option
@click.argument("member_id", type=click.UUID)
@_post_options
@acting.version_option
@printing.output_option
def member_update(
    *,
    organization: str,
    member_id: UUID,
    role: str,
    workspace_name: str | None,
    project_names: tuple[str, ...],
    expected_version: int | None,
) -> None:
    """Another role, or another reach."""
    service = memberships.membership_change
    with acting.acting_in(organization) as principal:
        post, grant = _post(role, workspace_name, project_names), acting.granted(principal, service)
        row = service(grant=grant, membership_id=member_id, post=post, expected_version=expected_version)
        facts = _member_facts(row)
    printing.facts_print(facts)


@member.command(name="remove")
@acting.organization_option
@click.argument("member_id", type=click.UUID)
@acting.version_option
@printing.output_option
def member_remove(*, organization: str, member_id: UUID, expected_version: int | None) -> None:
    """End a membership, and the tokens it holds."""
    service = memberships.membership_remove
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, service)
        facts = _member_facts(service(grant=grant, membership_id=member_id, expected_version=expected_version))
    printing.facts_print(facts)


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
    *, organization: str, email: str, role: str, workspace_name: str | None, project_names: tuple[str, ...], days: int
) -> None:
    """Invite somebody; the secret of the link is told this once."""
    service = invitations.invitation_create
    with acting.acting_in(organization) as principal:
        post, grant = _post(role, workspace_name, project_names), acting.granted(principal, service)
        row, secret = service(grant=grant, email=email, post=post, ttl=timedelta(days=days))
    printing.facts_print({**_invitation_facts(row), "secret": secret})


@invitation.command(name="list")
@acting.organization_option
@click.option("--open", "open_only", is_flag=True, help="Those that wait only.")
@acting.paged
@printing.output_option
def invitation_list(*, organization: str, open_only: bool, limit: int, after: UUID | None) -> None:
    """Who was invited."""
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, selectors.invitation_page)
        page = selectors.invitation_page(grant=grant, open_only=open_only, limit=limit, after=after)
    printing.rows_print([_invitation_facts(row) for row in page.items], next_after=page.next_after)


@invitation.command(name="resend")
@acting.organization_option
@click.argument("invitation_id", type=click.UUID)
@_days_option
@printing.output_option
def invitation_resend(*, organization: str, invitation_id: UUID, days: int) -> None:
    """A new link; the old one is dead."""
    service = invitations.invitation_resend
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, service)
        row, secret = service(grant=grant, invitation_id=invitation_id, ttl=timedelta(days=days))
    printing.facts_print({**_invitation_facts(row), "secret": secret})


@invitation.command(name="revoke")
@acting.organization_option
@click.argument("invitation_id", type=click.UUID)
@printing.output_option
def invitation_revoke(*, organization: str, invitation_id: UUID) -> None:
    """End it."""
    service = invitations.invitation_revoke
    with acting.acting_in(organization) as principal:
        row = service(grant=acting.granted(principal, service), invitation_id=invitation_id)
    printing.facts_print(_invitation_facts(row))


def _user(email: str) -> tuple[User, str | None]:
    address = email.strip().lower()
    found = User.objects.filter(email=address).first()
    if found is not None:
        return found, None
    password = secrets.token_urlsafe(15)
    return accounts.user_create(email=address, full_name="", password=password), password


def _member_facts(row: Membership) -> dict[str, Any]:
    facts = printing.row_facts(row, "id", "user.email", "role", "workspace_id", "project_ids", "status", "version")
    return {**facts, "created_at": row.created_at}


def _invitation_facts(row: Invitation) -> dict[str, Any]:
    names = ("id", "email", "role", "workspace_id", "project_ids", "invited_by")
    return printing.row_facts(row, *names, "expires_at", "accepted_at", "revoked_at")
