"""What only the installation itself may do, and no tenant's API offers: organizations as such, members who were not
asked, tokens on a member's behalf, and what an organization as a whole may use.

Services, called in the installation's name; answered as the API would. Tests:
tests/integration/cloud/cloudctl/test_tenants.py.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import transaction

from cloud.access import authorization
from cloud.access.principals import Principal, system_principal
from cloud.accounts import services as accounts
from cloud.accounts.models import User
from cloud.cloudctl.in_place import LABEL, InPlaceDoor, in_place_door
from cloud.limits import services as limits
from cloud.limits.allowances import Allowance
from cloud.permissions import matrix
from cloud.permissions.roles import Role
from cloud.tenancy import memberships, organizations, scope, selectors, units
from cloud.tenancy.models import Membership, Organization, Status, Unit
from cloud.tenancy.posts import Post
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


def organization_create(*, name: str, slug: str | None) -> dict[str, Any]:
    """A new organization, without members."""
    return _organization(organizations.organization_create(name=name, slug=slug))


def organization_list() -> list[dict[str, Any]]:
    """Every organization of this installation."""
    return [_organization(row) for row in selectors.organizations()]


def organization_resume(*, slug: str, expected_version: int | None) -> dict[str, Any]:
    """Take it into use again, also while it waits to be purged. No token of its own could ask for that."""
    service = organizations.organization_resume
    with _acting_in(slug) as principal:
        grant = authorization.authorize_for(principal, service)
        return _organization(service(grant=grant, expected_version=expected_version))


def member_add(
    *, organization: str | None, email: str, role: Role, workspace_id: str | None, project_ids: Sequence[str] | None
) -> dict[str, Any]:
    """Put a person in without asking them; without an account one is made, and its password told."""
    service: Callable[..., Membership] = memberships.membership_create
    post = Post(
        role=role,
        workspace_id=UUID(workspace_id) if workspace_id else None,
        project_ids=[UUID(found) for found in project_ids] if project_ids else None,
    )
    with _acting_in(organization) as principal, transaction.atomic():
        user, password = _user(email)
        row = service(grant=authorization.authorize_for(principal, service), user_id=user.id, post=post)
    return {
        "membership_id": row.id,
        "email": user.email,
        "role": row.role,
        "workspace_id": row.workspace_id,
        "project_ids": row.project_ids,
        "status": row.status,
        "version": row.version,
        "password": password,
    }


def door_of_member(door: InPlaceDoor, email: str, *, is_planner: bool) -> tuple[InPlaceDoor, list[str]]:
    """The installation on a member's behalf, and the most that a token of theirs can do. Raises NotFound."""
    organization_id = door.principal.organization_id
    with scope.organization(organization_id):
        members = Membership.objects.filter(organization_id=organization_id, status=Status.ACTIVE)
        member = members.filter(user__email=email.strip().lower()).first()
    if member is None:
        raise errors.NotFound(f"There is no member {email}.")
    most: frozenset[Scope] = matrix.scopes_of(Role(member.role))
    if is_planner:
        most &= matrix.PLANNER_SCOPES
    label = f"{LABEL} for {email}"
    holder = system_principal(organization_id, label=label, membership_id=member.id)
    return InPlaceDoor(principal=holder), sorted(found.value for found in most)


def organization_limits_set(
    *, organization: str | None, allowance: dict[str, int | None], expected_version: int | None
) -> None:
    """What an organization as a whole may use from now on."""
    with _acting_in(organization) as principal:
        limits.organization_limits_set(
            organization_id=principal.organization_id,
            allowance=Allowance(**allowance),
            expected_version=expected_version,
            actor=principal,
        )


def organization_of(project_id: str) -> str:
    """The slug of the organization whose project that is. Raises NotFound."""
    organization_id = selectors.organization_of_project(UUID(project_id))
    for row in selectors.organizations():
        if row.id == organization_id:
            return row.slug
    raise errors.NotFound(f"There is no project {project_id}.")


@contextmanager
def _acting_in(slug: str | None) -> Iterator[Principal]:
    principal = in_place_door(slug).principal
    with scope.organization(principal.organization_id):
        yield principal


def _user(email: str) -> tuple[User, str | None]:
    address = email.strip().lower()
    found = User.objects.filter(email=address).first()
    if found is not None:
        return found, None
    password = secrets.token_urlsafe(15)
    return accounts.user_create(email=address, full_name="", password=password), password


def _organization(row: Organization) -> dict[str, Any]:
    return {"organization_id": row.id, "time_zone": row.time_zone, **_unit(row)}


def _unit(row: Unit) -> dict[str, Any]:
    return {
        "name": row.name,
        "slug": units.unit_slug(row),
        "status": row.status,
        "version": row.version,
        "created_at": row.created_at,
        "deletion_due_at": row.deletion_due_at,
    }
