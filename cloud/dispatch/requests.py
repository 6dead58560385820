"""What a planner asks, checked against the operation's own models before anything is written.

Pure. A request that does not hold changes nothing and leaves no row. Called by `acceptance`.
Tests: tests/unit/cloud/dispatch/test_requests.py.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from local_daemon.protocol import errors, faults, limits, messages, operations, origins, wire
from local_daemon.protocol.operation import Operation, invalid_parameters

_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_A_REPOSITORY = "repo_" + "0" * 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A call as a surface took it, which nobody has looked at yet. `body` is JSON as bytes, or already an object."""

    operation: str
    parameters: Mapping[str, str]
    query: Mapping[str, Any]
    body: bytes | Mapping[str, Any] | None
    location: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """A well-formed call. `parameters` lack the repository: the location gives it."""

    operation: Operation
    parameters: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
    location: str | None
    idempotency_key: str

    def digest(self, project_id: str) -> str:
        """What the idempotency key is bound to."""
        asked = [self.operation.name, project_id, self.location, dict(self.parameters), dict(self.query), self.body]
        return wire.body_digest(asked)


def request_parse(sent: Sent) -> CallRequest:
    """The request, as its operation understands it. Raises UnsupportedOperation, InvalidRequest, NotFound (an id that
    cannot exist), PayloadTooLarge."""
    found = operations.REMOTE_OPERATIONS.get(sent.operation)
    if found is None:
        raise errors.UnsupportedOperation(f"There is no operation {sent.operation!r} that may be asked from here.")
    wrong = invalid_parameters(found, {**sent.parameters, "repository_id": _A_REPOSITORY})
    if "repository_id" in sent.parameters:
        # The location gives it: naming another must not slip by the sharing.
        wrong.append("repository_id")
    if wrong:
        raise errors.InvalidRequest(
            f"Not an id: {', '.join(wrong)}.",
            errors=[{"field": name, "problem": "not an id of its kind"} for name in wrong],
        )
    if sent.idempotency_key is not None and not _KEY.fullmatch(sent.idempotency_key):
        raise errors.InvalidRequest("An idempotency key has 1 to 200 printable ASCII characters, without spaces.")
    if sent.location is not None and not _KEY.fullmatch(sent.location):
        raise errors.InvalidRequest("A location is named by its id; see projects_list.")
    return CallRequest(
        operation=found,
        parameters=dict(sent.parameters),
        query=_checked(found.query, _storable(dict(sent.query))),
        body=_checked_body(found, sent.body),
        location=sent.location,
        idempotency_key=sent.idempotency_key or "",
    )


def _checked_body(operation: Operation, body: bytes | Mapping[str, Any] | None) -> Any:
    if operation.request is not None:
        return _checked(operation.request, _parsed(body))
    if body:
        raise errors.InvalidRequest("This operation takes no body.")
    return None


def _parsed(body: bytes | Mapping[str, Any] | None) -> Any:
    if not isinstance(body, bytes):
        return {} if body is None else _storable(dict(body))
    if len(body) > limits.BODY_BYTES:
        raise errors.PayloadTooLarge(limit=limits.BODY_BYTES)
    try:
        return wire.json_read(body) if body else {}
    except ValueError as error:
        raise errors.InvalidRequest(f"The body is not taken: {error}.") from None


def _storable(given: Any) -> Any:
    try:
        return wire.storable(given)
    except ValueError as error:
        raise errors.InvalidRequest(f"The request is not taken: {error}.") from None


def _checked(model: type[BaseModel] | None, given: Any) -> Any:
    try:
        checked = (model or messages.Empty).model_validate(given)
    except ValidationError as error:
        raise errors.InvalidRequest(
            "The request does not fit the operation; each field is named in errors.",
            errors=faults.field_faults(error),
        ) from None
    origins.nothing_told_require(checked)
    return checked.model_dump(mode="json", exclude_unset=True)
