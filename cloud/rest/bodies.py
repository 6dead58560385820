"""Reading a small JSON body strictly: type and size first, then syntax, then every field.

Tests: tests/integration/cloud/rest/.
"""

import re
from typing import TypeVar

from django.http import HttpRequest
from pydantic import BaseModel, ValidationError

from local_daemon.protocol import errors, faults, wire
from relay import http_refusals

M = TypeVar("M", bound=BaseModel)

_LENGTH = re.compile(r"[0-9]{1,18}")


def body_read(request: HttpRequest, model: type[M], *, limit_bytes: int) -> M:
    """The body as that model. Raises PayloadTooLarge before reading it all, UnsupportedMediaType, and InvalidRequest
    with the fields at fault."""
    _check_length(request, limit_bytes)
    _check_type(request)
    return _model_of(_content(request, limit_bytes), model)


def body_find(request: HttpRequest, model: type[M], *, limit_bytes: int) -> M:
    """As `body_read`; nothing at all says the same as an object without members."""
    _check_length(request, limit_bytes)
    content = _content(request, limit_bytes)
    if content:
        _check_type(request)
    return _model_of(content or b"{}", model)


def _check_length(request: HttpRequest, limit_bytes: int) -> None:
    announced = request.headers.get("Content-Length") or "0"
    if _LENGTH.fullmatch(announced) is None:
        raise errors.InvalidRequest("Content-Length: not a length")
    if int(announced) > limit_bytes:
        raise errors.PayloadTooLarge(limit=limit_bytes)


def _check_type(request: HttpRequest) -> None:
    if request.content_type != "application/json":
        raise http_refusals.UnsupportedMediaType


def _content(request: HttpRequest, limit_bytes: int) -> bytes:
    content = request.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise errors.PayloadTooLarge(limit=limit_bytes)
    return content


def _model_of(content: bytes, model: type[M]) -> M:
    try:
        return model.model_validate(wire.json_read(content))
    except ValidationError as error:
        # By field and without the input: what was sent may hold a secret.
        raise errors.InvalidRequest("The request is not well formed.", errors=faults.field_faults(error)) from None
    except ValueError as error:
        raise errors.InvalidRequest(f"The body is not taken: {error}.") from None
