"""The door in place: requests are answered in this process, in the installation's name, without a token.

Whoever has the database's URL needs no role; what they do is audited as `cloudctl`. The views of the API are called as
its URLs say, so nothing of them is repeated here. Tests: tests/integration/cloud/cloudctl/test_tenants.py.
"""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any
from urllib.parse import quote, urlencode

from django.core.handlers.wsgi import WSGIRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from rest_framework.authentication import BaseAuthentication

from cloud.access.principals import Principal, system_principal
from cloud.cloudctl.door import PREFIX
from cloud.dispatch.services import dispatch_operation_sync
from cloud.tenancy import selectors
from local_daemon.protocol import errors
from local_daemon.protocol.operations import OPERATIONS

LABEL = "cloudctl"
_FAILED = 400


class _InPlace(BaseAuthentication):
    """Whoever could start this process asks in the principal's name."""

    def __init__(self, principal: Principal) -> None:
        self._principal = principal

    def authenticate(self, request: Any) -> tuple[Principal, None]:
        """The principal."""
        return self._principal, None


@dataclass(frozen=True, slots=True, kw_only=True)
class InPlaceDoor:
    """One organization, entered as the installation."""

    principal: Principal
    is_in_place: bool = True

    def ask(
        self,
        method: str,
        path: str,
        names: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        if_match: str | None = None,
    ) -> Any:
        """One route's answer."""
        filled = path.format(**{name: quote(str(value), safe="") for name, value in (names or {}).items()})
        response = self._response(method, filled, query or {}, body, if_match)
        told = json.loads(getattr(response, "content", b"") or b"null")
        if response.status_code >= _FAILED:
            raise errors.from_problem(told)
        return told

    def _response(
        self, method: str, path: str, query: Mapping[str, Any], body: Mapping[str, Any] | None, if_match: str | None
    ) -> HttpResponseBase:
        content = b"" if body is None else json.dumps(body).encode()
        request = WSGIRequest(
            {
                "REQUEST_METHOD": method,
                "PATH_INFO": PREFIX + path,
                "QUERY_STRING": urlencode(query),
                "CONTENT_TYPE": "application/json",
                "CONTENT_LENGTH": str(len(content)),
                "SERVER_NAME": LABEL,
                "SERVER_PORT": "443",
                "wsgi.url_scheme": "https",
                "wsgi.input": BytesIO(content),
                **({} if if_match is None else {"HTTP_IF_MATCH": if_match}),
            }
        )
        try:
            match = resolve(request.path_info)
        except Resolver404:
            raise errors.NotFound from None
        # The same view, with our own word on who asks where a bearer token would have told.
        resource: Any = match.func
        view = resource.view_class.as_view(authentication_classes=[partial(_InPlace, self.principal)])
        response: HttpResponseBase = view(request, *match.args, **match.kwargs)
        return response

    def machine(
        self,
        operation: str,
        *,
        project_id: str,
        location: str | None,
        parameters: Mapping[str, str],
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None,
    ) -> Any:
        """One operation of a machine."""
        asked = OPERATIONS[operation]
        return dispatch_operation_sync(
            principal=self.principal,
            operation_name=operation,
            project_id=project_id,
            parameters=parameters,
            query=query,
            body=body,
            idempotency_key=f"cloudctl:{secrets.token_hex(16)}" if asked.mutates else None,
            location=location,
            deadline_s=asked.deadline_s,
        ).answer.body

    def content(self, *, project_id: str, location: str | None, artifact_id: str) -> bytes:
        """An artifact's bytes."""
        view: dict[str, Any] = self.machine(
            "artifacts.content",
            project_id=project_id,
            location=location,
            parameters={"artifact_id": artifact_id},
            query={},
            body=None,
        )
        text: str | None = view.get("text")
        return text.encode() if text is not None else base64.b64decode(view["base64"])


def in_place_door(slug: str | None) -> InPlaceDoor:
    """Into the organization of that slug, or the only one there is. Raises NotFound, InvalidRequest."""
    found = selectors.organizations(slug=slug)
    if slug is None and len(found) != 1:
        raise errors.InvalidRequest("Name the organization with --organization; `cloudctl org list` lists them.")
    if not found:
        raise errors.NotFound(f"There is no organization {slug!r}; `cloudctl org list` tells their slugs.")
    return InPlaceDoor(principal=system_principal(found[0].id, label=LABEL))
