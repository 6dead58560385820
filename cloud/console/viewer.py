"""Who looks at a page, as a Principal; once a request. Tests: tests/integration/cloud/console/."""

from uuid import UUID

from django.http import HttpRequest

from cloud.access import selectors
from cloud.access.principals import Principal
from cloud.accounts.models import User
from cloud.console import middleware
from local_daemon.protocol import errors

_KEPT = "_ropeway_principals"


def principal_of(request: HttpRequest, *, organization_id: UUID | None = None) -> Principal | None:
    """The person in the organization named (or the one they look at); None where they are nobody.

    An operator of the installation looks at all organizations, and is somebody only in one that is named."""
    user = request.user
    if not isinstance(user, User):
        return None
    if organization_id is None and not user.is_superuser:
        organization_id = middleware.organization_of(request)
    if organization_id is None:
        return None
    kept: dict[UUID, Principal | None] = request.__dict__.setdefault(_KEPT, {})
    if organization_id not in kept:
        try:
            kept[organization_id] = selectors.user_principal(user, organization_id=organization_id)
        except errors.Forbidden:
            kept[organization_id] = None
    return kept[organization_id]
