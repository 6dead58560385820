"""The one error table: what each code means on every surface.

    RopewayError
    ├─ InvalidRequest, RangeInvalid               the request itself is wrong
    ├─ Unauthenticated, Forbidden, NotFound       who asks, what they may see
    ├─ MethodNotAllowed                           the path is right, the method is not
    ├─ Expired, InvalidTransition, IdempotencyConflict, GateDecided, StaleApproval,
    │  AmbiguousLocation, AlreadyClaimed, PreconditionFailed     the state does not allow it
    ├─ PayloadTooLarge, RateLimited, QuotaExceeded, StorageFull  limits
    ├─ ProtocolMismatch, UnsupportedOperation     versions
    ├─ ExecutorAuth, ExecutorFailed, ExecutorUnavailable, ExecutorQuota
    ├─ ConnectorOffline, DeadlineExceeded         the way there
    └─ Internal

The class docstring is the default message: a sentence a planner can act on. Renderers at each surface decide nothing.
Tests: tests/contract/test_errors.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

_RETRY_AFTER_S_MAX = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRow:
    """How one code is rendered. `close` is a websocket close code (4000 + `http`: daphne cannot send those
    below 3000) or None; `openai` the type of an OpenAI error."""

    http: int
    openai: str
    close: int | None = None
    retryable: bool = False


TABLE: Mapping[str, ErrorRow] = MappingProxyType(
    {
        "invalid_request": ErrorRow(http=400, openai="invalid_request_error"),
        "range_invalid": ErrorRow(http=416, openai="invalid_request_error"),
        "unauthenticated": ErrorRow(http=401, openai="authentication_error", close=4401),
        "forbidden": ErrorRow(http=403, openai="permission_error", close=4403),
        "not_found": ErrorRow(http=404, openai="not_found_error"),
        "method_not_allowed": ErrorRow(http=405, openai="invalid_request_error"),
        "expired": ErrorRow(http=410, openai="invalid_request_error"),
        "invalid_transition": ErrorRow(http=409, openai="conflict_error"),
        "idempotency_conflict": ErrorRow(http=409, openai="conflict_error"),
        "gate_decided": ErrorRow(http=409, openai="conflict_error"),
        "stale_approval": ErrorRow(http=409, openai="conflict_error"),
        "ambiguous_location": ErrorRow(http=409, openai="conflict_error"),
        "already_claimed": ErrorRow(http=409, openai="conflict_error"),
        "precondition_failed": ErrorRow(http=412, openai="conflict_error"),
        "payload_too_large": ErrorRow(http=413, openai="invalid_request_error", close=4413),
        "rate_limited": ErrorRow(http=429, openai="rate_limit_error", close=4429, retryable=True),
        "quota_exceeded": ErrorRow(http=429, openai="insufficient_quota", close=4429, retryable=True),
        "protocol_mismatch": ErrorRow(http=426, openai="invalid_request_error", close=4426),
        "unsupported_operation": ErrorRow(http=501, openai="invalid_request_error"),
        "storage_full": ErrorRow(http=507, openai="server_error"),
        "executor_auth": ErrorRow(http=502, openai="server_error"),
        "executor_failed": ErrorRow(http=502, openai="server_error"),
        "executor_unavailable": ErrorRow(http=503, openai="server_error", retryable=True),
        "executor_quota": ErrorRow(http=503, openai="server_error", retryable=True),
        "connector_offline": ErrorRow(http=503, openai="server_error", retryable=True),
        "deadline_exceeded": ErrorRow(http=504, openai="server_error", retryable=True),
        "internal": ErrorRow(http=500, openai="server_error", close=4500),
    }
)


def said(error: Exception) -> str:
    """What an error says: what it was raised with, else its class's default message."""
    return str(error) or default_message(type(error))


def default_message(error_class: type[Exception]) -> str:
    """The class's docstring on one line, however it is wrapped in the source."""
    return " ".join((error_class.__doc__ or "").split())


class RopewayError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "internal"

    def __init__(self, detail: str | None = None, *, retry_after_s: float | None = None, **attributes: Any) -> None:
        """`detail` replaces the class docstring as message; `attributes` are JSON-able facts for the planner."""
        self.detail = detail if detail is not None else default_message(type(self)) or self.code
        self.retry_after_s = retry_after_s
        self.attributes: dict[str, Any] = attributes
        super().__init__(self.detail)

    @property
    def row(self) -> ErrorRow:
        """This error's line of the table."""
        return TABLE[self.code]

    @property
    def is_retryable(self) -> bool:
        """Whether the very same request, key included, may succeed later."""
        return self.row.retryable

    def problem(self) -> dict[str, Any]:
        """The RFC 9457 members every surface renders from: type, title, status, detail, code, retryable, and facts."""
        problem: dict[str, Any] = {
            "type": f"urn:ropeway:error:{self.code}",
            "title": self.code.replace("_", " "),
            "status": self.row.http,
            "detail": self.detail,
            "code": self.code,
            "retryable": self.is_retryable,
        }
        if self.retry_after_s is not None:
            problem["retry_after_s"] = self.retry_after_s
        if self.attributes:
            problem["attributes"] = self.attributes
        return problem


class InvalidRequest(RopewayError):
    """The request is not well formed; `attributes.errors` names each field."""

    code = "invalid_request"


class RangeInvalid(RopewayError):
    """The byte range lies outside the content."""

    code = "range_invalid"


class Unauthenticated(RopewayError):
    """Present a valid bearer token."""

    code = "unauthenticated"


class Forbidden(RopewayError):
    """This credential lacks the scope that the operation needs."""

    code = "forbidden"


class NotFound(RopewayError):
    """No such object is visible to this credential."""

    code = "not_found"


class MethodNotAllowed(RopewayError):
    """This path does not take that method; `attributes.allowed` names those it takes."""

    code = "method_not_allowed"


class Expired(RopewayError):
    """It existed, but its time is over; ask for a new one."""

    code = "expired"


class InvalidTransition(RopewayError):
    """The object's state does not allow this; read it before retrying."""

    code = "invalid_transition"


class IdempotencyConflict(RopewayError):
    """This key was used with another body; use a new key for a new request."""

    code = "idempotency_conflict"


class GateDecided(RopewayError):
    """The gate was already decided; read it before retrying."""

    code = "gate_decided"


class StaleApproval(RopewayError):
    """What the approval names is no longer what the gate holds; read the gate and decide on its digest."""

    code = "stale_approval"


class AmbiguousLocation(RopewayError):
    """The project is in several places; name one of `attributes.candidates` as `location`."""

    code = "ambiguous_location"


class AlreadyClaimed(RopewayError):
    """This connector already belongs to your organization."""

    code = "already_claimed"


class PreconditionFailed(RopewayError):
    """The object changed since it was read; read it again."""

    code = "precondition_failed"


class PayloadTooLarge(RopewayError):
    """The request is larger than the limit."""

    code = "payload_too_large"


class RateLimited(RopewayError):
    """Too many requests at once; retry after the time given."""

    code = "rate_limited"


class QuotaExceeded(RopewayError):
    """The quota for this period is used up."""

    code = "quota_exceeded"


class ProtocolMismatch(RopewayError):
    """The two sides share no protocol version; upgrade the older one."""

    code = "protocol_mismatch"


class UnsupportedOperation(RopewayError):
    """This operation is not offered here."""

    code = "unsupported_operation"


class StorageFull(RopewayError):
    """The machine's disk is full; nothing was changed. Make room, then ask again."""

    code = "storage_full"


class ExecutorAuth(RopewayError):
    """The executor is not signed in on that machine."""

    code = "executor_auth"


class ExecutorFailed(RopewayError):
    """The executor failed."""

    code = "executor_failed"


class ExecutorUnavailable(RopewayError):
    """The executor is not available on that machine."""

    code = "executor_unavailable"


class ExecutorQuota(RopewayError):
    """The executor's provider refuses more work for now."""

    code = "executor_quota"


class ConnectorOffline(RopewayError):
    """The machine is not connected; nothing was executed. Retry with the same key."""

    code = "connector_offline"


class DeadlineExceeded(RopewayError):
    """No answer came in time; the work may have been done. Retry with the same key to learn the outcome."""

    code = "deadline_exceeded"


class Internal(RopewayError):
    """An unexpected failure; its trace is in the log of the machine that failed."""

    code = "internal"


def _all_errors(cls: type[RopewayError]) -> dict[str, type[RopewayError]]:
    return {sub.code: sub for sub in cls.__subclasses__()}


BY_CODE: Mapping[str, type[RopewayError]] = MappingProxyType(_all_errors(RopewayError))


def from_problem(problem: Mapping[str, Any]) -> RopewayError:
    """The typed error behind a problem that came over a wire; an unknown code becomes `internal`. Whatever stands in
    its members, they make an error that can be told."""
    error_class = BY_CODE.get(str(problem.get("code")), Internal)
    error = error_class(
        str(problem.get("detail") or problem.get("title") or default_message(error_class)),
        retry_after_s=_retry_after_s(problem.get("retry_after_s")),
    )
    attributes = problem.get("attributes")
    if isinstance(attributes, Mapping):
        error.attributes.update((str(key), value) for key, value in attributes.items())
    return error


def _retry_after_s(said: Any) -> float | None:
    is_time = isinstance(said, int | float) and not isinstance(said, bool) and 0 <= said <= _RETRY_AFTER_S_MAX
    return float(said) if is_time else None
