"""`cloudctl token`: mint for a member, list, show, rotate and revoke.

Tests: tests/integration/cloud/cloudctl/.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import click

from cloud.access import selectors, services
from cloud.access.models import Token, TokenKind
from cloud.access.principals import Principal, system_principal
from cloud.cloudctl import acting, printing
from cloud.permissions import matrix
from cloud.permissions.roles import Role
from cloud.tenancy.models import Membership, Status
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

_KINDS = click.Choice([kind.value for kind in TokenKind])
_STATES = click.Choice([state.value for state in selectors.TokenState])
_SCOPES = click.Choice([scope.value for scope in Scope])


@click.group()
def token() -> None:
    """Tokens: what planners, programs and people present."""


@token.command(name="create")
@acting.organization_option
@click.option("--member", "email", required=True, help="Address of the member whose token it is.")
@click.option("--name", required=True, help="What it is for.")
@click.option("--kind", default=TokenKind.PLANNER.value, show_default=True, type=_KINDS, help="Who presents it.")
@click.option("--scope", "scopes", multiple=True, type=_SCOPES, help="What it may do; all its holder may, without.")
@click.option("--project", "project_names", multiple=True, help="Where; everywhere its holder reaches, without.")
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is good; without, until it is revoked.")
@printing.output_option
def token_create(
    *,
    organization: str,
    email: str,
    name: str,
    kind: str,
    scopes: tuple[str, ...],
    project_names: tuple[str, ...],
    days: int | None,
) -> None:
    """Mint a token; its secret is told this once."""
    with acting.acting_in(organization) as principal:
        holder, most = _on_behalf(principal, email, TokenKind(kind))
        row, secret = services.token_mint(
            grant=acting.granted(holder, services.token_mint),
            name=name,
            kind=TokenKind(kind),
            scopes=frozenset(Scope(word) for word in scopes) or most,
            project_ids=[acting.project_named(project) for project in project_names] or None,
            expires_at=datetime.now(UTC) + timedelta(days=days) if days else None,
        )
        facts = _facts(row)
    printing.facts_print({**facts, "secret": secret})


@token.command(name="list")
@acting.organization_option
@click.option("--kind", type=_KINDS, help="Only those.")
@click.option("--state", type=_STATES, help="Only those.")
@click.option("--search", default="", help="Part of a name, or how the secret begins.")
@acting.paged
@printing.output_option
def token_list(
    *, organization: str, kind: str | None, state: str | None, search: str, limit: int, after: UUID | None
) -> None:
    """The organization's tokens."""
    with acting.acting_in(organization) as principal:
        page = selectors.token_page(
            grant=acting.granted(principal, selectors.token_page),
            kind=TokenKind(kind) if kind else None,
            state=selectors.TokenState(state) if state else None,
            search=search,
            limit=limit,
            after=after,
        )
    printing.rows_print([_facts(row) for row in page.items], next_after=page.next_after)


@token.command(name="show")
@acting.organization_option
@click.argument("token_id", type=click.UUID)
@printing.output_option
def token_show(*, organization: str, token_id: UUID) -> None:
    """One token, without its secret."""
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, selectors.token_get)
        row = selectors.token_get(grant=grant, token_id=token_id)
    printing.facts_print({**_facts(row), "scopes": row.scopes, "project_ids": row.project_ids})


@token.command(name="rotate")
@acting.organization_option
@click.argument("token_id", type=click.UUID)
@click.option(
    "--overlap-hours", default=24, show_default=True, type=click.IntRange(0, 7 * 24), help="How long both are good."
)
@printing.output_option
def token_rotate(*, organization: str, token_id: UUID, overlap_hours: int) -> None:
    """A token that takes its place; its secret is told this once."""
    service = services.token_rotate
    with acting.acting_in(organization) as principal:
        grant = acting.granted(principal, service)
        row, secret = service(grant=grant, token_id=token_id, overlap=timedelta(hours=overlap_hours))
        facts = _facts(row)
    printing.facts_print({**facts, "secret": secret})


@token.command(name="revoke")
@acting.organization_option
@click.argument("token_id", type=click.UUID)
@printing.output_option
def token_revoke(*, organization: str, token_id: UUID) -> None:
    """End it for good, with all that it minted."""
    service = services.token_revoke
    with acting.acting_in(organization) as principal:
        facts = _facts(service(grant=acting.granted(principal, service), token_id=token_id))
    printing.facts_print(facts)


def _on_behalf(principal: Principal, email: str, kind: TokenKind) -> tuple[Principal, frozenset[Scope]]:
    """The installation on behalf of a member, and the most that such a token of theirs can do."""
    members = Membership.objects.filter(organization_id=principal.organization_id, status=Status.ACTIVE)
    member = members.filter(user__email=email.strip().lower()).first()
    if member is None:
        raise errors.NotFound(f"There is no member {email}.")
    most = matrix.scopes_of(Role(member.role))
    if kind is TokenKind.PLANNER:
        most &= matrix.PLANNER_SCOPES
    label = f"{acting.LABEL} for {email}"
    return system_principal(principal.organization_id, label=label, membership_id=member.id), most


def _facts(row: Token) -> dict[str, Any]:
    holder = row.membership.user.email if row.membership else None
    facts = printing.row_facts(row, "id", "name", "kind", "prefix")
    ends = printing.row_facts(row, "created_at", "expires_at", "last_used_at")
    return {**facts, "holder": holder, "state": selectors.token_state(row, now=datetime.now(UTC)).value, **ends}
