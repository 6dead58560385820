"""How every route is answered: who asks, how often, may they; then the endpoint's function, in its tenant's scope.

One class a path, made by `routes`. A denial is audited, as it is at the funnel. Runs in Django's own way (ADR 0003),
outside of the scope of a session, which a browser may bring along: the tenant is the token's. Tests:
tests/integration/cloud/rest/.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from pydantic import BaseModel
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from cloud.access import authorization
from cloud.access.principals import Principal, PrincipalKind
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.audit.models import Outcome
from cloud.limits import admission
from cloud.rest import bodies, problems, queries, versions
from cloud.rest.authentication import BearerAuthentication
from cloud.rest.endpoints import Answered, Asked, Endpoint, RefusedByFunnel
from cloud.tenancy import scope
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors, messages, wire

_TARGET_CHARACTERS = 64


class OneForm(BaseContentNegotiation):
    """Answers are JSON whatever is asked for; a problem says so of itself."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """None is needed: `bodies` reads."""
        return None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        """None is asked."""
        return renderers[0], renderers[0].media_type


class Resource(APIView):
    """One path and its methods."""

    http_method_names = ["get", "post", "put", "patch", "delete"]
    authentication_classes = [BearerAuthentication]
    permission_classes: ClassVar[list[Any]] = []
    content_negotiation_class = OneForm
    endpoints: ClassVar[Mapping[str, Endpoint]] = {}

    def get_exception_handler(self) -> Any:
        """Problems."""
        return problems.refused

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer one request."""
        response: HttpResponseBase = scope.outside(super().dispatch, request, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    @property
    def default_response_headers(self) -> dict[str, str]:
        """None but our own."""
        return {}

    def answered(self, request: Request, **names: Any) -> HttpResponseBase:
        """What each of its methods does."""
        endpoint = self.endpoints[str(request.method)]
        principal: Principal = request.user
        address = request.META.get("REMOTE_ADDR") or None
        with scope.organization(principal.organization_id):
            # The installation asks in place, and must get through to a tenant that uses up what it may.
            is_counted = principal.kind is not PrincipalKind.SYSTEM
            if is_counted and not endpoint.is_for_machine:
                admission.call_count(principal, endpoint.name, client_address=address)
            try:
                answer = _answer(endpoint, principal, request._request, address, names)
            except RefusedByFunnel as refusal:
                raise refusal.error from refusal
            except errors.RopewayError as refusal:
                if is_counted and endpoint.is_for_machine:
                    # It never came to the funnel, which would have counted it.
                    admission.call_count(principal, endpoint.name, client_address=address)
                if isinstance(refusal, errors.Forbidden | errors.NotFound):
                    _tell(endpoint, principal, address, names, refusal)
                raise
            return _response(endpoint, answer, known=request.headers.get("If-None-Match"))


def resource_of(path: str, endpoints: Mapping[str, Endpoint]) -> type[Resource]:
    """The class of one path."""
    methods = {method.lower(): _method(endpoint) for method, endpoint in endpoints.items()}
    return type(f"Resource {path}", (Resource,), {"endpoints": endpoints, **methods})


def _method(endpoint: Endpoint) -> Any:
    def method(self: Resource, request: Request, **names: Any) -> HttpResponseBase:
        return self.answered(request, **names)

    method.__doc__ = endpoint.description
    return method


def _answer(
    endpoint: Endpoint, principal: Principal, request: HttpRequest, address: str | None, names: Mapping[str, Any]
) -> Any:
    if endpoint.scope is not None:
        # Before anything that was sent is looked at: who may not, learns nothing of what would be taken.
        authorization.authorize(principal, endpoint.scope)
    asked = Asked(
        principal=principal,
        scope=endpoint.scope,
        expected_version=versions.expected_version(request.headers.get("If-Match"), endpoint.if_match),
        client_address=address,
        headers=request.headers,
    )
    return endpoint.answer(asked, **names, **_query(endpoint, request), **_body(endpoint, request))


def _query(endpoint: Endpoint, request: HttpRequest) -> dict[str, BaseModel]:
    found = queries.query_read(request.META.get("QUERY_STRING", ""), endpoint.query or messages.Empty)
    return {"query": found} if endpoint.query else {}


def _body(endpoint: Endpoint, request: HttpRequest) -> dict[str, BaseModel]:
    if endpoint.method == "GET":
        return {}
    found = bodies.body_find(request, endpoint.request or messages.Empty, limit_bytes=endpoint.body_bytes)
    return {"body": found} if endpoint.request else {}


def _response(endpoint: Endpoint, answer: Any, *, known: str | None) -> HttpResponseBase:
    if isinstance(answer, HttpResponseBase):
        return answer
    told = answer if isinstance(answer, Answered) else Answered(body=answer, status=endpoint.status)
    if not isinstance(told.body, BaseModel):
        # A machine's own words: the cloud neither versions nor reads them.
        return _json(wire.canonical_json(told.body), told)
    content = told.body.model_dump_json().encode()
    version = versions.version_of(told.body)
    response = _json(content, told)
    if endpoint.is_read or version is not None:
        response["ETag"] = versions.etag_of(version, content)
    if endpoint.is_read and versions.is_known(response["ETag"], known):
        return HttpResponseNotModified(headers={"ETag": response["ETag"]})
    return response


def _json(content: bytes, told: Answered) -> HttpResponse:
    return HttpResponse(content, status=told.status, content_type="application/json", headers=dict(told.headers))


def _tell(
    endpoint: Endpoint,
    principal: Principal,
    address: str | None,
    names: Mapping[str, Any],
    denial: errors.RopewayError,
) -> None:
    with recorded("call_deny"):
        audit.event_record(
            event_type=EventType.CALL_DENIED,
            principal=principal,
            target_kind="route",
            target_id=" ".join(str(value) for value in names.values())[:_TARGET_CHARACTERS] or endpoint.name,
            outcome=Outcome.ERROR,
            client_address=address,
            details={"operation": endpoint.name, "code": denial.code},
        )
