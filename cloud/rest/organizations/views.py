"""The organization of the credential; the installation makes them, and takes them into use again.

Tests: tests/integration/cloud/rest/test_units.py.
"""

from uuid import UUID

from cloud.rest import units
from cloud.rest.endpoints import Asked, IfMatch, endpoint
from cloud.rest.organizations.messages import OrganizationPage, OrganizationView
from cloud.tenancy import organizations, selectors
from cloud.tenancy.models import Organization
from local_daemon.protocol import errors

_ONE = "/organizations/{organization_id}"


@endpoint(
    "GET",
    "/organizations",
    name="organizations.list",
    title="Organizations",
    service=selectors.organization_get,
    response=OrganizationPage,
)
def organizations_list(asked: Asked) -> OrganizationPage:
    """The one organization that this credential is of."""
    return OrganizationPage(items=(_view(selectors.organization_get(grant=asked.grant())),), next_cursor=None)


@endpoint(
    "GET",
    _ONE,
    name="organizations.get",
    title="An organization",
    service=selectors.organization_get,
    response=OrganizationView,
)
def organizations_get(asked: Asked, organization_id: UUID) -> OrganizationView:
    """One organization: the credential's own."""
    _check_own(asked, organization_id)
    return _view(selectors.organization_get(grant=asked.grant()))


@endpoint(
    "PATCH",
    _ONE,
    name="organizations.update",
    title="Rename an organization",
    service=organizations.organization_update,
    request=units.UnitUpdate,
    response=OrganizationView,
    if_match=IfMatch.REQUIRED,
)
def organizations_update(asked: Asked, organization_id: UUID, body: units.UnitUpdate) -> OrganizationView:
    """Another name or slug."""
    _check_own(asked, organization_id)
    return _view(
        organizations.organization_update(
            grant=asked.grant(), name=body.name, slug=body.slug, expected_version=asked.expected_version
        )
    )


@endpoint(
    "POST",
    f"{_ONE}/suspend",
    name="organizations.suspend",
    title="Suspend an organization",
    service=organizations.organization_suspend,
    response=OrganizationView,
    if_match=IfMatch.HONOURED,
)
def organizations_suspend(asked: Asked, organization_id: UUID) -> OrganizationView:
    """Refuse everything in its name, this token included, until the installation resumes it."""
    _check_own(asked, organization_id)
    return _view(organizations.organization_suspend(grant=asked.grant(), expected_version=asked.expected_version))


@endpoint(
    "DELETE",
    _ONE,
    name="organizations.delete",
    title="Delete an organization",
    service=organizations.organization_delete,
    response=OrganizationView,
    if_match=IfMatch.REQUIRED,
)
def organizations_delete(asked: Asked, organization_id: UUID) -> OrganizationView:
    """Refuse everything in its name from now on, and purge it when its grace is over."""
    _check_own(asked, organization_id)
    return _view(organizations.organization_delete(grant=asked.grant(), expected_version=asked.expected_version))


def _check_own(asked: Asked, organization_id: UUID) -> None:
    if organization_id != asked.principal.organization_id:
        raise errors.NotFound


def _view(row: Organization) -> OrganizationView:
    return OrganizationView(organization_id=row.id, **units.unit_facts(row))


ENDPOINTS = (
    organizations_list,
    organizations_get,
    organizations_update,
    organizations_suspend,
    organizations_delete,
)
