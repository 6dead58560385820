"""Reading a small JSON body strictly: size first, then syntax, then every field.

Tests: tests/integration/cloud/rest/.
"""

from typing import TypeVar

from django.http import HttpRequest
from pydantic import BaseModel, ValidationError

from local_daemon.protocol import errors

M = TypeVar("M", bound=BaseModel)


def body_read(request: HttpRequest, model: type[M], *, limit_bytes: int) -> M:
    """The body as that model. Raises PayloadTooLarge before reading it all, InvalidRequest with the fields at fault."""
    try:
        announced = int(request.headers.get("Content-Length") or 0)
    except ValueError as error:
        raise errors.InvalidRequest("Content-Length is not a number.") from error
    if announced > limit_bytes:
        raise errors.PayloadTooLarge
    content = request.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise errors.PayloadTooLarge
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        # Neither the input nor pydantic's links: what was sent may hold a secret.
        found = error.errors(include_url=False, include_input=False, include_context=False)
        facts = [{"field": ".".join(map(str, item["loc"])), "message": item["msg"]} for item in found[:20]]
        raise errors.InvalidRequest("The request is not well formed.", errors=facts) from error
