"""Whether a call may be made now: rate and quotas of its token and its organization.

Counting is the first thing every surface does once it knows who calls, before it looks at what was sent: who calls too
often with calls that do not hold calls too often. Usually both look into memory and nowhere else (ADR 0010). A refusal
is told to the audit once a minute a caller, for who calls too often would otherwise write as often. Callers open the
organization's scope. Called by `cloud.dispatch.acceptance`, `cloud.operations.table` and `cloud.rest.resources`. Tests:
tests/integration/cloud/limits/test_admission.py.
"""

import time
from datetime import UTC, datetime

from cloud.access.principals import Principal
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.audit.models import Outcome
from cloud.limits import allowances, run_starts, standings
from cloud.limits.allowances import Allowance
from cloud.limits.buckets import LeasedBucket
from cloud.limits.standings import Standing
from cloud.limits.usage import Used
from cloud.tenancy import threads
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors
from local_daemon.protocol.operation import Operation

TOLD_S = 60.0
_TOLD_KEPT = 4096
COSTLY = run_starts.OPERATIONS | {"steps.submit", "steps.retry", "conversations.begin", "conversations.say"}
"""Operations that ask for new work of an executor, which may cost."""

_told: dict[tuple[object, str], float] = {}


def call_count(principal: Principal, called: str, *, client_address: str | None) -> None:
    """Count one call, whatever it holds; `called` is the operation's name, or the route's. Raises RateLimited."""
    standing = standings.standing_of(principal)
    try:
        _check_rate(standing)
    except errors.RateLimited as refusal:
        _tell_once(principal, standing, called, refusal, client_address)
        raise


def quotas_check(principal: Principal, operation: Operation, *, client_address: str | None) -> None:
    """Whether a call of a machine, counted already, may use more. Raises QuotaExceeded."""
    standing = standings.standing_of(principal)
    try:
        _check_quotas(standing, operation)
    except errors.QuotaExceeded as refusal:
        _tell_once(principal, standing, operation.name, refusal, client_address)
        raise


def _check_rate(standing: Standing) -> None:
    now = time.monotonic()
    taken: list[LeasedBucket] = []
    for bucket in standing.buckets:
        wait_s = bucket.take(now)
        if wait_s:
            for other in taken:
                other.give_back()
            raise errors.RateLimited(
                f"{round(bucket.rate_per_s * 60)} calls a minute are allowed; retry after the time given.",
                retry_after_s=min(wait_s, allowances.RETRY_AFTER_S_MAX),
                limit="calls_per_minute",
                allowed=round(bucket.rate_per_s * 60),
            )
        taken.append(bucket)
        if bucket.is_low(now):
            threads.after_answer(bucket.renew, now)


def _check_quotas(standing: Standing, operation: Operation) -> None:
    if operation.streams:
        for subject in standing.subjects:
            _check_bytes(subject.allowance, subject.used)
    elif operation.name in COSTLY:
        for subject in standing.subjects:
            _check_cost(subject.allowance, subject.used)


def _check_bytes(allowance: Allowance, used: Used) -> None:
    allowed = allowance.artifact_bytes_per_day
    if allowed is not None and used.artifact_bytes_today >= allowed:
        raise errors.QuotaExceeded(
            "As many bytes of artifacts as allowed a day were fetched; the day begins anew at 00:00 UTC.",
            retry_after_s=allowances.day_left_s(datetime.now(UTC)),
            limit="artifact_bytes_per_day",
            allowed=allowed,
        )


def _check_cost(allowance: Allowance, used: Used) -> None:
    allowed = allowance.cost_micros_per_month
    if allowed is not None and used.cost_micros_this_month >= allowed:
        raise errors.QuotaExceeded(
            "What executors reported has reached the month's allowance; it begins anew with the month, UTC.",
            retry_after_s=allowances.month_left_s(datetime.now(UTC)),
            limit="cost_micros_per_month",
            allowed=allowed,
        )


def _tell_once(
    principal: Principal,
    standing: Standing,
    called: str,
    refusal: errors.RopewayError,
    client_address: str | None,
) -> None:
    now = time.monotonic()
    # Tokens of one line's beginning are one caller here, or whoever mints many would be told of as often.
    key = (standing.line[-1] if standing.line else principal.id, refusal.code)
    if now - _told.get(key, -TOLD_S) < TOLD_S:
        return
    if len(_told) >= _TOLD_KEPT:
        _told.clear()
    _told[key] = now
    with recorded("limit_tell"):
        audit.event_record(
            event_type=EventType.LIMIT_REACHED,
            principal=principal,
            target_kind="organization",
            target_id=principal.organization_id,
            outcome=Outcome.ERROR,
            client_address=client_address,
            details={"operation": called, "code": refusal.code, **refusal.attributes},
        )
