"""How a caller stands: their limits and what they used, as this process last heard, and their share of the rate.

Read once when a caller appears, and again beside their calls while these go on: no call waits for it. What was changed
or used elsewhere counts here REFRESH_S later at most, plus one call. Callers open the organization's scope. Called by
`admission` and `run_starts`. Tests: tests/integration/cloud/limits/test_admission.py.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import connection

from cloud.access.principals import Principal
from cloud.limits import leases, usage
from cloud.limits.allowances import NAMES, Allowance
from cloud.limits.buckets import Lease, LeasedBucket
from cloud.limits.usage import Used
from cloud.tenancy import threads

REFRESH_S = 5.0
_KEPT = 4096

# The token's line, nearest first, and last the organization: what was set for each, nothing where nothing was.
_LIMITS = f"""
    SELECT s.subject, {", ".join(f"l.{name}" for name in NAMES)}
      FROM (SELECT subject, min(depth) AS place FROM access_token_line(%(token)s) GROUP BY subject
             UNION ALL SELECT NULL, NULL) AS s
      LEFT JOIN limits_limit l ON l.organization_id = %(organization)s AND l.token_id IS NOT DISTINCT FROM s.subject
     ORDER BY s.place NULLS LAST
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One that a call counts against: the token, one of those that it comes from, or the organization (`id` None)."""

    id: UUID | None
    allowance: Allowance
    used: Used


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One caller's limits and use: of each token of its line, nearest first, and last of the organization. A person has
    no token: for them the organization's alone count."""

    subjects: tuple[Subject, ...]
    buckets: tuple[LeasedBucket, ...]
    read_at: float

    @property
    def limits_runs(self) -> bool:
        """Whether runs at once are limited at all."""
        return any(subject.allowance.runs_at_once is not None for subject in self.subjects)

    @property
    def line(self) -> tuple[UUID, ...]:
        """What the token's use is counted under; of a person nothing."""
        return tuple(subject.id for subject in self.subjects if subject.id is not None)


_Key = tuple[UUID, UUID | None]


class _Standings:
    """What this process knows, the least recently used forgotten first."""

    lock = threading.Lock()
    known: OrderedDict[_Key, Standing] = OrderedDict()
    being_read: set[_Key] = set()
    buckets: OrderedDict[UUID, LeasedBucket] = OrderedDict()


def standing_of(principal: Principal) -> Standing:
    """How they stand. Blocks for the database only for who was not seen lately."""
    key = (principal.organization_id, principal.counted_token_id)
    with _Standings.lock:
        standing = _Standings.known.get(key)
        is_due = standing is not None and time.monotonic() - standing.read_at > REFRESH_S
        if standing is not None:
            _Standings.known.move_to_end(key)
        if is_due and key not in _Standings.being_read:
            _Standings.being_read.add(key)
            threads.after_answer(_refresh, key)
    if standing is not None:
        return standing
    return _read(key)


def standings_forget() -> None:
    """Know nothing any more, so that a change counts at once in this process."""
    with _Standings.lock:
        _Standings.known.clear()
        _Standings.buckets.clear()


def _refresh(key: _Key) -> None:
    try:
        _read(key)
    finally:
        with _Standings.lock:
            _Standings.being_read.discard(key)


def _read(key: _Key) -> Standing:
    organization_id, token_id = key
    allowed = allowances_of(organization_id=organization_id, token_id=token_id)
    used = _used(allowed, organization_id)
    with _Standings.lock:
        standing = Standing(
            subjects=tuple(Subject(id=one, allowance=allowed[one], used=used.get(one, Used())) for one in allowed),
            buckets=tuple(_buckets(organization_id, allowed)),
            read_at=time.monotonic(),
        )
        _Standings.known[key] = standing
        if len(_Standings.known) > _KEPT:
            _Standings.known.popitem(last=False)
    return standing


def allowances_of(*, organization_id: UUID, token_id: UUID | None) -> dict[UUID | None, Allowance]:
    """What each token of the token's line may use, nearest first, and last the organization (None): as set, else the
    installation's own."""
    with connection.cursor() as cursor:
        cursor.execute(_LIMITS, {"organization": organization_id, "token": token_id})
        found = {row[0]: Allowance(**dict(zip(NAMES, row[1:], strict=True))) for row in cursor.fetchall()}
    defaults = settings.LIMITS
    return {one: own.or_else(defaults["organization" if one is None else "token"]) for one, own in found.items()}


def _used(allowed: Mapping[UUID | None, Allowance], organization_id: UUID) -> Mapping[UUID | None, Used]:
    """Counted only where something depends on it."""
    limited = allowed.values()
    if all(one.artifact_bytes_per_day is None and one.cost_micros_per_month is None for one in limited):
        return {}
    if any(one.cost_micros_per_month is not None for one in limited):
        usage.cost_fold(organization_id)
    subjects = [one for one in allowed if one is not None]
    return usage.used_by(organization_id=organization_id, subjects=subjects, now=datetime.now(UTC))


def _buckets(organization_id: UUID, allowed: Mapping[UUID | None, Allowance]) -> list[LeasedBucket]:
    """The narrower first: what it refuses costs the others nothing."""
    return [
        _bucket(organization_id, subject or organization_id, allowance)
        for subject, allowance in allowed.items()
        if allowance.calls_per_minute is not None
    ]


def _bucket(organization_id: UUID, subject_id: UUID, allowance: Allowance) -> LeasedBucket:
    """This process's one bucket of the subject: all of an organization's tokens share the organization's."""
    known = _Standings.buckets.get(subject_id)
    if known is not None and (known.rate_per_s, known.burst) == (allowance.rate_per_s, allowance.burst):
        _Standings.buckets.move_to_end(subject_id)
        return known
    lease: Callable[[int], Lease] = partial(_lease, organization_id, subject_id, allowance)
    bucket = LeasedBucket(rate_per_s=allowance.rate_per_s, burst=allowance.burst, lease=lease)
    _Standings.buckets[subject_id] = bucket
    if len(_Standings.buckets) > _KEPT:
        _Standings.buckets.popitem(last=False)
    return bucket


def _lease(organization_id: UUID, subject_id: UUID, allowance: Allowance, wanted: int) -> Lease:
    return leases.calls_lease(
        organization_id=organization_id,
        subject_id=subject_id,
        rate_per_s=allowance.rate_per_s,
        burst=allowance.burst,
        wanted=wanted,
    )
