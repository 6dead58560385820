"""Who asks: the bearer token, and nothing else. A session's cookie opens nothing here, so nothing here needs CSRF.

Tests: tests/integration/cloud/rest/test_requests.py.
"""

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from cloud.access.authentication import authenticate_bearer
from cloud.access.principals import Principal
from local_daemon.protocol import errors


class BearerAuthentication(BaseAuthentication):
    """Planners', services' and personal tokens; the tenant is the token's."""

    def authenticate(self, request: Request) -> tuple[Principal, None]:
        """The principal. Raises Unauthenticated also where nothing is presented: nothing here is anonymous."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise errors.Unauthenticated
        return authenticate_bearer(token.strip()), None

    def authenticate_header(self, request: Request) -> str:
        """What a refused caller is told to present."""
        return 'Bearer realm="ropeway"'
