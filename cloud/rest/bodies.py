"""Reading a small JSON body strictly: type and size first, then syntax, then every field.

Tests: tests/integration/cloud/rest/.
"""

import re
from typing import TypeVar

from django.http import HttpRequest
from pydantic import BaseModel, ValidationError

from local_daemon.protocol import envelopes, errors, wire
from relay import http_refusals

M = TypeVar("M", bound=BaseModel)

_LENGTH = re.compile(r"[0-9]{1,18}")


def body_read(request: HttpRequest, model: type[M], *, limit_bytes: int) -> M:
    """The body as that model. Raises PayloadTooLarge before reading it all, UnsupportedMediaType, and InvalidRequest
    with the fields at fault."""
    announced = request.headers.get("Content-Length") or "0"
    if _LENGTH.fullmatch(announced) is None:
        raise errors.InvalidRequest("Content-Length: not a length")
    if int(announced) > limit_bytes:
        raise errors.PayloadTooLarge(limit=limit_bytes)
    if request.content_type != "application/json":
        raise http_refusals.UnsupportedMediaType
    content = request.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise errors.PayloadTooLarge(limit=limit_bytes)
    try:
        return model.model_validate(wire.json_read(content))
    except ValidationError as error:
        # By field and without the input: what was sent may hold a secret.
        raise errors.InvalidRequest(
            "The request is not well formed.", errors=envelopes.readable_errors(error)
        ) from None
    except ValueError as error:
        raise errors.InvalidRequest(f"The body is not taken: {error}.") from None
