"""Query strings, read strictly: each parameter once, none unknown, nothing that a database could not hold.

Tests: tests/integration/cloud/rest/test_requests.py.
"""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, StringConstraints, ValidationError, WithJsonSchema

from local_daemon.protocol import errors, faults, wire
from relay import http_messages

M = TypeVar("M", bound=BaseModel)


def _written_flag(value: Any) -> Any:
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise ValueError("must be true or false")
        return value == "true"
    return value


Flag = Annotated[bool, BeforeValidator(_written_flag), WithJsonSchema({"type": "boolean"})]
"""`true` or `false`, where everything is text."""
Search = Annotated[str, StringConstraints(max_length=200)]
"""Part of a name."""


def query_read(raw: str, model: type[M]) -> M:
    """The query as that model. Raises InvalidRequest with the parameters at fault."""
    given = http_messages.query_read(raw.encode("latin-1", errors="replace"))
    try:
        return model.model_validate(wire.storable(given))
    except ValidationError as error:
        raise errors.InvalidRequest(
            "The query does not hold; each parameter is named in errors.", errors=faults.field_faults(error)
        ) from None
    except ValueError as error:
        raise errors.InvalidRequest(f"The query is not taken: {error}.") from None
