"""Errors as RFC 9457 problem+json: `protocol.errors` rendered for Django's views, deciding nothing.

`posted` is for the doors without a credential, `refused` for the routes that have one. Tests:
tests/integration/cloud/rest/.
"""

import functools
import logging
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from pydantic import BaseModel, Field
from rest_framework import exceptions

from local_daemon.protocol import errors, limits

View = Callable[[HttpRequest], HttpResponse]

logger = logging.getLogger(__name__)


class Problem(BaseModel):
    """Why a request was refused (RFC 9457). `retryable`: the same request may succeed later."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(json_schema_extra={"enum": list(errors.TABLE)})
    retryable: bool
    retry_after_s: float = Field(default=0, description="In how many seconds; where that is known.")
    attributes: dict[str, object] = Field(default={}, description="Facts of this refusal, by its code.")


class Queued(BaseModel):
    """A call that is durable and not answered yet; `GET /api/v2/calls/{call_id}` tells what came of it."""

    call_id: str
    state: str
    deadline_at: datetime


def problem_response(error: errors.RopewayError) -> JsonResponse:
    """The answer that says what went wrong, with the headers its status asks for."""
    response = JsonResponse(error.problem(), status=error.row.http, content_type="application/problem+json")
    response["Cache-Control"] = "no-store"
    # Django would call it an error of ours when a machine is away; what fails here is logged where it fails.
    response._has_been_logged = True  # type: ignore[attr-defined]
    if isinstance(error, errors.Unauthenticated):
        response["WWW-Authenticate"] = 'Bearer realm="ropeway"'
    if isinstance(error, errors.MethodNotAllowed):
        response["Allow"] = ", ".join(error.attributes["allowed"])
    retry_after_s = error.retry_after_s or limits.RETRY_AFTER_S.get(error.code)
    if retry_after_s is not None:
        response["Retry-After"] = str(math.ceil(retry_after_s))
    return response


def refused(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """What the framework answers where a route raises: the outermost place of a request."""
    if isinstance(error, errors.RopewayError):
        return problem_response(error)
    if isinstance(error, exceptions.MethodNotAllowed):
        allowed = context["view"].allowed_methods
        return problem_response(errors.MethodNotAllowed(f"This path takes {', '.join(allowed)} only.", allowed=allowed))
    logger.error("A request failed", exc_info=error, extra={"event": "rest.request_failed"})
    return problem_response(errors.Internal())


def posted(view: View) -> View:
    """A view that is POSTed to, and whose errors become problems."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        try:
            _require_posted(request)
            return view(request)
        except errors.RopewayError as error:
            return problem_response(error)
        except Exception:
            logger.exception("A request failed", extra={"event": "rest.request_failed"})
            return problem_response(errors.Internal())

    return wrapped


def _require_posted(request: HttpRequest) -> None:
    if request.method != "POST":
        raise errors.MethodNotAllowed("This path takes POST only.", allowed=["POST"])
    if request.GET:
        raise errors.InvalidRequest("This path takes no query.")


def no_such_path(_request: HttpRequest) -> HttpResponse:
    """What programs are told below /api/ where nothing is."""
    return problem_response(errors.NotFound("There is no such path; docs/reference.md lists them."))
