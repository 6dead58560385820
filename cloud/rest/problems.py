"""Errors as RFC 9457 problem+json: `protocol.errors` rendered for Django's views, deciding nothing.

Tests: tests/integration/cloud/rest/.
"""

import functools
import logging
import math
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

from local_daemon.protocol import errors

View = Callable[[HttpRequest], HttpResponse]

logger = logging.getLogger(__name__)


def problem_response(error: errors.RopewayError) -> JsonResponse:
    """The answer that says what went wrong, with the headers its status asks for."""
    response = JsonResponse(error.problem(), status=error.row.http, content_type="application/problem+json")
    response["Cache-Control"] = "no-store"
    if isinstance(error, errors.MethodNotAllowed):
        response["Allow"] = ", ".join(error.attributes["allowed"])
    if error.retry_after_s is not None:
        response["Retry-After"] = str(math.ceil(error.retry_after_s))
    return response


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
