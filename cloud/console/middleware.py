"""The tenant scope of a page: the operator's for the installation's operators, one organization's for everyone else.

Which organization a person of several looks at is kept in their session; moments are shown by its clocks. Tests:
tests/integration/cloud/console/test_switching.py, test_clocks.py.
"""

from collections.abc import Callable
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from cloud.access import people
from cloud.console import denials
from cloud.tenancy import clocks, scope, selectors
from cloud.tenancy.models import Membership

SESSION_KEY = "organization_id"
ADMIN_PREFIX = "/admin/"
JOIN_PREFIX = "/join/"
"""Invitations: looked at in no tenant's scope, also by who is somebody elsewhere."""
_KEPT = "_ropeway_memberships"


class TenantScopeMiddleware:
    """Opens the scope around the view and its template; nobody signed in, nothing in scope."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request in its scope, and tell the audit where that is a denial."""
        user = request.user
        with people.acting(user if user.is_authenticated else None):
            organization_id, response = self._answered(request)
        if user.is_authenticated and request.path.startswith(ADMIN_PREFIX):
            denials.denial_tell(request, response, organization_id=organization_id)
        return response

    def _answered(self, request: HttpRequest) -> tuple[UUID | None, HttpResponse]:
        """In which organization's scope, and what."""
        user = request.user
        if not user.is_authenticated or not user.is_staff or request.path.startswith(JOIN_PREFIX):
            return None, self.get_response(request)
        if user.is_superuser:
            with scope.operator():
                return None, _rendered(self.get_response(request))
        organization_id = organization_of(request)
        if organization_id is None:
            return None, self.get_response(request)
        with scope.organization(organization_id), timezone.override(clocks.zone(zone_of(request))):
            return organization_id, _rendered(self.get_response(request))


def zone_of(request: HttpRequest) -> str:
    """By whose clocks the viewer's pages are: the organization's they look at; an operator's are in UTC."""
    wanted = None if request.user.is_superuser else organization_of(request)
    found = (row.organization.time_zone for row in memberships_of(request) if row.organization_id == wanted)
    return next(found, clocks.UTC)


def memberships_of(request: HttpRequest) -> list[Membership]:
    """The viewer's memberships, read once a request: before its scope is open, for they are of several tenants."""
    kept: list[Membership] | None = getattr(request, _KEPT, None)
    if kept is None:
        user_id = request.user.pk
        kept = selectors.memberships_of(user_id) if user_id is not None else []
        setattr(request, _KEPT, kept)
    return kept


def organization_of(request: HttpRequest) -> UUID | None:
    """The organization a person looks at: the one they chose while they still are a member, else their first."""
    memberships = memberships_of(request)
    chosen = request.session.get(SESSION_KEY)
    for membership in memberships:
        if str(membership.organization_id) == chosen:
            return membership.organization_id
    return memberships[0].organization_id if memberships else None


def _rendered(response: HttpResponse) -> HttpResponse:
    """A template renders lazily, and its queries must run while the scope is open."""
    render = getattr(response, "render", None)
    return render() if callable(render) and not getattr(response, "is_rendered", True) else response
