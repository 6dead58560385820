"""The organization of the credential; the installation makes them, and takes them into use again.

Tests: tests/integration/cloud/rest/test_units.py.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from cloud.access.principals import Grant
from cloud.rest import units
from cloud.rest.collection import Collection
from cloud.rest.endpoints import Asked, endpoint
from cloud.rest.organizations.messages import OrganizationPage, OrganizationUpdate, OrganizationView
from cloud.tenancy import organizations, selectors
from cloud.tenancy.models import Organization
from local_daemon.protocol import errors


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


def _own(service: Callable[..., Organization]) -> Callable[..., Organization]:
    """A service of the grant's organization, asked for by its id: there is no other one."""

    @wraps(service)
    def checked(*, grant: Grant, organization_id: UUID, **said: Any) -> Organization:
        if organization_id != grant.organization_id:
            raise errors.NotFound
        return service(grant=grant, **said)

    return checked


def _view(row: Organization) -> OrganizationView:
    return OrganizationView(organization_id=row.id, time_zone=row.time_zone, **units.unit_facts(row))


_all = Collection(
    name="organizations", path="/organizations", id_name="organization_id", view=_view, response=OrganizationView
)

ENDPOINTS = (
    organizations_list,
    _all.get("An organization", "One organization: the credential's own.", _own(selectors.organization_get)),
    _all.update(
        "Change an organization",
        "Another name, slug or time zone.",
        _own(organizations.organization_update),
        body=OrganizationUpdate,
    ),
    _all.act(
        "suspend",
        "Suspend an organization",
        "Refuse everything in its name, this token included, until the installation resumes it.",
        _own(organizations.organization_suspend),
    ),
    _all.delete(
        "Delete an organization",
        "Refuse everything in its name from now on, and purge it when its grace is over.",
        _own(organizations.organization_delete),
    ),
)
