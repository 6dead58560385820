"""Making and changing organizations.

The owner renames and deletes; a suspended or deleted organization refuses its own people, so that only the installation
(`cloudctl`, an operator) resumes it. Callers open the scope, except for `organization_create`. Tests:
tests/integration/cloud/tenancy/test_units.py.
"""

from django.db.models import QuerySet

from cloud.audit import services as audit
from cloud.tenancy import clocks, grants, scope, units
from cloud.tenancy.grants import Grant
from cloud.tenancy.lifecycle import TenantEvent
from cloud.tenancy.models import Organization
from cloud.tenancy.transaction import recorded
from local_daemon.protocol.scopes import Scope


def organization_create(*, name: str, slug: str | None = None, actor: audit.Actor | None = None) -> Organization:
    """A new organization, without members; by the installation only. Call it with no scope open.

    Raises InvalidRequest for a slug that is taken."""
    kept = units.name_checked(name)
    with scope.operator(), recorded("tenancy_change"):
        return units.unit_create(
            Organization(name=kept, slug=units.slug_checked(slug) if slug else units.slug_of(kept)), actor=actor
        )


@grants.needs(Scope.ORGANIZATION_WRITE)
def organization_update(
    *,
    grant: Grant,
    name: str | None = None,
    slug: str | None = None,
    time_zone: str | None = None,
    expected_version: int | None,
) -> Organization:
    """Another name, slug or time zone. Raises PreconditionFailed, InvalidRequest."""
    more = {} if time_zone is None else {"time_zone": clocks.name_checked(time_zone)}
    with recorded("tenancy_change"):
        return units.unit_update(_locked(grant, expected_version), name=name, slug=slug, actor=grant.principal, **more)


@grants.needs(Scope.ORGANIZATION_WRITE)
def organization_suspend(*, grant: Grant, expected_version: int | None) -> Organization:
    """Refuse everything in its name until it is resumed: tokens, sign-in, links. Raises InvalidTransition."""
    return _advanced(grant, TenantEvent.SUSPEND, expected_version)


@grants.needs(Scope.ORGANIZATION_WRITE)
def organization_resume(*, grant: Grant, expected_version: int | None) -> Organization:
    """Take it into use again, also while it waits to be purged."""
    return _advanced(grant, TenantEvent.RESUME, expected_version)


@grants.needs(Scope.ORGANIZATION_WRITE)
def organization_delete(*, grant: Grant, expected_version: int | None) -> Organization:
    """Refuse everything in its name from now on, and purge it when `units.GRACE` is over."""
    return _advanced(grant, TenantEvent.DELETE, expected_version)


def _advanced(grant: Grant, event: TenantEvent, expected_version: int | None) -> Organization:
    with recorded("tenancy_change"):
        return units.unit_advance(_locked(grant, expected_version), event, actor=grant.principal)


def _locked(grant: Grant, expected_version: int | None) -> Organization:
    grants.whole_organization(grant)
    rows: QuerySet[Organization] = Organization.objects.all()
    return units.row_lock(rows, grant.organization_id, expected_version=expected_version)
