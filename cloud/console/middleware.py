"""The tenant scope of a page: the operator's for the installation's operators, one organization's for everyone else.

Which organization a person of several looks at is kept in their session. Tests:
tests/integration/cloud/console/test_middleware.py.
"""

from collections.abc import Callable
from uuid import UUID

from django.http import HttpRequest, HttpResponse

from cloud.tenancy import scope, selectors

SESSION_KEY = "organization_id"


class TenantScopeMiddleware:
    """Opens the scope around the view and its template; nobody signed in, nothing in scope."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request in its scope."""
        user = request.user
        if not user.is_authenticated or not user.is_staff:
            return self.get_response(request)
        if user.is_superuser:
            with scope.operator():
                return _rendered(self.get_response(request))
        organization_id = organization_of(request)
        if organization_id is None:
            return self.get_response(request)
        with scope.organization(organization_id):
            return _rendered(self.get_response(request))


def organization_of(request: HttpRequest) -> UUID | None:
    """The organization a person looks at: the one they chose while they still are a member, else their first."""
    user_id = request.user.pk
    if user_id is None:
        return None
    memberships = [row.organization_id for row in selectors.memberships_of(user_id)]
    chosen = request.session.get(SESSION_KEY)
    for organization_id in memberships:
        if str(organization_id) == chosen:
            return organization_id
    return memberships[0] if memberships else None


def _rendered(response: HttpResponse) -> HttpResponse:
    """A template renders lazily, and its queries must run while the scope is open."""
    render = getattr(response, "render", None)
    return render() if callable(render) and not getattr(response, "is_rendered", True) else response
