"""Every route below /api/cloud/v1: the endpoints of all nouns, gathered by path.

The OpenAPI document, the permission matrix and the URLs come from here, so that none can be forgotten. Tests:
tests/integration/cloud/rest/test_permissions.py.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path

from cloud.rest import paths
from cloud.rest.audit import views as audit
from cloud.rest.calls import views as calls
from cloud.rest.connectors import views as connectors
from cloud.rest.endpoints import PREFIX, Endpoint
from cloud.rest.enrollment_codes import views as enrollment_codes
from cloud.rest.instances import views as instances
from cloud.rest.invitations import views as invitations
from cloud.rest.locations import views as locations
from cloud.rest.me import views as me
from cloud.rest.memberships import views as memberships
from cloud.rest.organizations import views as organizations
from cloud.rest.projects import views as projects
from cloud.rest.resources import resource_of
from cloud.rest.run_schedules import views as run_schedules
from cloud.rest.runs import views as runs
from cloud.rest.tokens import views as tokens
from cloud.rest.usage import views as usage
from cloud.rest.workspaces import views as workspaces

ENDPOINTS: tuple[Endpoint, ...] = (
    *me.ENDPOINTS,
    *organizations.ENDPOINTS,
    *workspaces.ENDPOINTS,
    *projects.ENDPOINTS,
    *memberships.ENDPOINTS,
    *invitations.ENDPOINTS,
    *tokens.ENDPOINTS,
    *enrollment_codes.ENDPOINTS,
    *connectors.ENDPOINTS,
    *instances.ENDPOINTS,
    *locations.ENDPOINTS,
    *runs.ENDPOINTS,
    *calls.ENDPOINTS,
    *audit.ENDPOINTS,
    *usage.ENDPOINTS,
    *run_schedules.ENDPOINTS,
)


def _by_path() -> Mapping[str, Mapping[str, Endpoint]]:
    found: dict[str, dict[str, Endpoint]] = {}
    for endpoint in ENDPOINTS:
        methods = found.setdefault(endpoint.path, {})
        assert endpoint.method not in methods, f"{endpoint.method} {endpoint.path} is there twice"
        methods[endpoint.method] = endpoint
    return found


def document_build() -> dict[str, Any]:
    """The OpenAPI document."""
    # Whoever serves need not know how to describe: not before somebody asks.
    from cloud.rest import schema  # noqa: PLC0415

    return schema.document_of(_mounted(_resources()))


@functools.cache
def document_text() -> str:
    """The document as it is written to docs/ and served."""
    return json.dumps(document_build(), indent=1, ensure_ascii=False) + "\n"


def openapi(_request: HttpRequest) -> HttpResponse:
    """The document, for anybody: it tells nothing of a tenant."""
    return HttpResponse(document_text(), content_type="application/json")


def _resources() -> list[URLPattern]:
    return [
        path(paths.django_route(template), resource_of(template, endpoints).as_view())
        for template, endpoints in _by_path().items()
    ]


def _mounted(patterns: list[URLPattern]) -> list[URLResolver]:
    return [path(f"{PREFIX.removeprefix('/')}/", include(patterns))]


urlpatterns = _mounted([path("openapi.json", openapi), *_resources()])
"""For the installation's URLs."""
