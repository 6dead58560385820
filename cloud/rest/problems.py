"""Errors as RFC 9457 problem+json: `protocol.errors` rendered for Django's views, deciding nothing.

Tests: tests/integration/cloud/rest/.
"""

import functools
import math
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

from local_daemon.protocol import errors

View = Callable[[HttpRequest], HttpResponse]


def problem_response(error: errors.RopewayError) -> JsonResponse:
    """The answer that says what went wrong."""
    response = JsonResponse(error.problem(), status=error.row.http, content_type="application/problem+json")
    if error.retry_after_s is not None:
        response["Retry-After"] = str(math.ceil(error.retry_after_s))
    return response


def with_problems(view: View) -> View:
    """A view whose typed errors become problems."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        try:
            return view(request)
        except errors.RopewayError as error:
            return problem_response(error)

    return wrapped
