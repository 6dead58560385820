"""`cloudctl bootstrap`: an organization, a workspace, a project, its owner and a token, made where they are missing.

Safe to repeat: a second run finds what is there, and prints no secret again unless `--token` asks for a new one.
Tests: tests/integration/cloud/cloudctl/test_commands.py.
"""

import secrets
from typing import Any

import click
from django.db import transaction

from cloud.access import authorization, services
from cloud.access.models import Token
from cloud.access.principals import system_principal
from cloud.accounts.models import User
from cloud.cloudctl import doors, printing
from cloud.permissions import matrix
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from cloud.tenancy import services as tenancy
from cloud.tenancy.models import Membership
from local_daemon.protocol.scopes import Scope

TOKEN_NAME = "bootstrap"  # noqa: S105 - a name


@click.command()
@click.option("--organization", required=True, help="Name of the organization.")
@click.option("--workspace", default="Default", show_default=True, help="Name of its workspace.")
@click.option("--project", required=True, help="Name of its project.")
@click.option("--email", required=True, help="The owner, who signs in to the admin with it.")
@click.option("--operator", is_flag=True, help="The owner also operates this installation and sees every organization.")
@click.option("--token", "wants_token", is_flag=True, help="Mint another token where one was minted before.")
@printing.output_option
def bootstrap(
    *, organization: str, workspace: str, project: str, email: str, operator: bool, wants_token: bool
) -> None:
    """Make the first organization and what a planner needs to begin."""
    doors.in_place_required()
    facts = everything_ensure(
        organization=organization,
        workspace=workspace,
        project=project,
        email=email,
        is_operator=operator,
        wants_token=wants_token,
    )
    printing.facts_print(facts)


def everything_ensure(
    *, organization: str, workspace: str, project: str, email: str, is_operator: bool, wants_token: bool
) -> dict[str, Any]:
    """Find or make all of it; the ids, and the secrets that were made now (None for those made before)."""
    made, _ = tenancy.organization_ensure(name=organization)
    system = system_principal(made.id, label="cloudctl")
    with scope.organization(made.id), transaction.atomic():
        place, _ = tenancy.workspace_ensure(organization_id=made.id, name=workspace, actor=system)
        work, _ = tenancy.project_ensure(workspace=place, name=project, actor=system)
        user, password = _user_ensure(email, is_operator=is_operator)
        membership, _ = tenancy.membership_ensure(
            organization_id=made.id, user_id=user.id, role=Role.ORG_OWNER, actor=system
        )
        token = _token_ensure(membership, email, wants_token=wants_token)
    return {
        "organization": made.slug,
        "organization_id": made.id,
        "workspace_id": place.id,
        "project": work.slug,
        "project_id": work.id,
        "email": user.email,
        "password": password,
        "token": token,
    }


def _user_ensure(email: str, *, is_operator: bool) -> tuple[User, str | None]:
    user = User.objects.filter(email=email.strip().lower()).first()
    if user is not None:
        return user, None
    password = secrets.token_urlsafe(15)
    return User.objects.create_user(email, password, is_staff=True, is_superuser=is_operator), password


def _token_ensure(membership: Membership, email: str, *, wants_token: bool) -> str | None:
    exists = Token.objects.filter(membership=membership, name=TOKEN_NAME, revoked_at=None).exists()
    if exists and not wants_token:
        return None
    owner = system_principal(membership.organization_id, label=f"cloudctl for {email}", membership_id=membership.id)
    grant = authorization.authorize(owner, Scope.TOKENS_WRITE)
    scopes = matrix.scopes_of(Role(membership.role))
    _, secret = services.token_mint(grant=grant, name=TOKEN_NAME, scopes=scopes)
    return secret
